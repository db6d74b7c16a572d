"""Where models and adapters lie and runs are kept, by ComfyUI's own folder keys.

The keys go through `folder_paths`, so that extra_model_paths.yaml works for them too.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING

import folder_paths

from ...motion_core.adapter_files.noise_file import ENDING as NOISE_ENDING
from .file_choices import listed_names

if TYPE_CHECKING:
    from ...motion_core.adapter_files.own import AdapterInfo
    from ...motion_core.adapters.base import Adapter
    from ...motion_core.backbones.base import Backbone

ADAPTERS = "motion_adapters"
MOTION_LORAS = "animatediff_motion_lora"
MOTION_MODULES = "animatediff_models"
LORAS = "loras"
ZEROSCOPE = "text2video"
EVALUATION = "motion_evaluation"
LANGUAGE = "LLM"  # where other packs keep language models too
_ADAPTER_KEYS = (ADAPTERS, MOTION_LORAS)

# What is listed under each key; the last folder that a key gets is under ComfyUI's models. Models
# of LANGUAGE are folders: which files of it are listed is for other packs to say.
_EXTENSIONS: Mapping[str, Set[str]] = {
    ADAPTERS: {".safetensors", ".sft", ".ckpt", ".pt", ".bin"},
    MOTION_LORAS: folder_paths.supported_pt_extensions,
    MOTION_MODULES: folder_paths.supported_pt_extensions,
    ZEROSCOPE: folder_paths.supported_pt_extensions,
    EVALUATION: folder_paths.supported_pt_extensions,
    LANGUAGE: frozenset(),
}
# What is listed under these is for this pack and AnimateDiff-Evolved, which does the same, to say.
_OWN = (ADAPTERS, EVALUATION, MOTION_LORAS, MOTION_MODULES)


def register_folders() -> None:
    """Adds the pack's keys, or to those of other packs, and makes the folders under models.

    To ComfyUI no extensions at all are every file: a key that another pack has left so, or
    extra_model_paths.yaml for it, stays so.
    """
    for key, extensions in _EXTENSIONS.items():
        folder = Path(folder_paths.models_dir) / key
        folder.mkdir(parents=True, exist_ok=True)
        new = key not in folder_paths.folder_names_and_paths
        folder_paths.add_model_folder_path(key, str(folder))
        paths, known = folder_paths.folder_names_and_paths[key]
        if known or new or key in _OWN:
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


def adapter_folders() -> list[Path]:
    """All that the loaders of adapters list."""
    return [Path(path) for key in _ADAPTER_KEYS for path in folder_paths.get_folder_paths(key)]


def adapter_files() -> dict[str, Path]:
    """All files that may hold adapters by the name that is listed, without those that lie beside
    them. A name that is in both folders has its folder's before it.
    """
    places: dict[str, dict[str, Path]] = {}
    for key in _ADAPTER_KEYS:
        found = {name: folder_paths.get_full_path(key, name) for name in _listed(key)}
        places[key] = {name: Path(path) for name, path in found.items() if path is not None}
    return dict(sorted(listed_names(places).items()))


def lora_files() -> dict[str, Path]:
    """All files that may be LoRAs of any program, by their folder's key and name."""
    return {
        f"{key}/{name}": Path(path)
        for key in (LORAS, *_ADAPTER_KEYS)
        for name in _listed(key)
        if (path := folder_paths.get_full_path(key, name)) is not None
    }


def listed_name(file: Path) -> str:
    """What the loaders call an adapter file."""
    listed = (name for name, path in adapter_files().items() if path == file)
    return next(listed, file.name)


def _listed(key: str) -> list[str]:
    names: list[str] = folder_paths.get_filename_list(key)
    return [name for name in names if not name.endswith(NOISE_ENDING)]


def runs_folder() -> Path:
    """Where training runs keep their records, samples and checkpoints, each in a folder of its
    own.
    """
    return Path(folder_paths.get_output_directory()) / "motion_training"


def media_path(folder: str) -> Path:
    """The path as given, from ComfyUI's input folder if it is a relative one. Windows copies paths
    in quotes.
    """
    return Path(folder_paths.get_input_directory()) / folder.strip().strip('"')
