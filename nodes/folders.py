"""Where models and adapters lie and runs are kept, by ComfyUI's own folder keys.

The keys go through `folder_paths`, so that extra_model_paths.yaml works for them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import folder_paths

if TYPE_CHECKING:
    from ..motion_core.adapter_file import AdapterInfo
    from ..motion_core.adapters.base import Adapter
    from ..motion_core.backbones.base import Backbone

ADAPTERS = "motion_adapters"
MOTION_LORAS = "animatediff_motion_lora"
MOTION_MODULES = "animatediff_models"
ZEROSCOPE = "text2video"
EVALUATION = "motion_evaluation"
LANGUAGE = "LLM"  # where other packs keep language models too

# What is listed under each key; the last folder that a key gets is under ComfyUI's models.
_EXTENSIONS = {
    ADAPTERS: {".safetensors", ".pt", ".bin"},
    MOTION_LORAS: folder_paths.supported_pt_extensions,
    MOTION_MODULES: folder_paths.supported_pt_extensions,
    ZEROSCOPE: folder_paths.supported_pt_extensions,
    EVALUATION: folder_paths.supported_pt_extensions,
    LANGUAGE: folder_paths.supported_pt_extensions,
}


def register_folders() -> None:
    """Adds the pack's keys, or to those of other packs, and makes the folders under models."""
    for key, extensions in _EXTENSIONS.items():
        folder = Path(folder_paths.models_dir) / key
        folder.mkdir(parents=True, exist_ok=True)
        folder_paths.add_model_folder_path(key, str(folder))
        paths, known = folder_paths.folder_names_and_paths[key]
        folder_paths.folder_names_and_paths[key] = (paths, {*known, *extensions})


def save_folder(key: str) -> Path:
    """Where new files of a key go: its folder under ComfyUI's models if it is one of the key's,
    else the key's first.
    """
    own = Path(folder_paths.models_dir) / key
    known = [Path(path) for path in folder_paths.get_folder_paths(key)]
    return own if own in known else known[0]


def adapter_key(made_for: AdapterInfo | Backbone, adapters: Mapping[str, Adapter]) -> str:
    """The key under which an adapter file belongs: with AnimateDiff-Evolved's motion LoRAs if that
    pack can load it (it drops what else is in the file), else with our own.
    """
    motion_lora = any(a.kind == "lora" and a.scope == "temporal" for a in adapters.values())
    large = made_for.version.startswith("animatediff-sd15")
    return MOTION_LORAS if motion_lora and large else ADAPTERS


def adapter_files() -> list[str]:
    """Names of all files that may hold adapters, without those that lie beside them."""
    names = {
        name for key in (ADAPTERS, MOTION_LORAS) for name in folder_paths.get_filename_list(key)
    }
    return sorted(name for name in names if not name.endswith(".noise.safetensors"))


def adapter_path(name: str) -> Path | None:
    """The file of a name that `adapter_files` gave; None if it is gone."""
    for key in (ADAPTERS, MOTION_LORAS):
        path = folder_paths.get_full_path(key, name)
        if path is not None:
            return Path(path)
    return None


def runs_folder() -> Path:
    """Where training runs keep their records, samples and checkpoints, each in a folder of its
    own.
    """
    return Path(folder_paths.get_output_directory()) / "motion_training"
