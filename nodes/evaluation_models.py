"""The models that clips are measured and described with: where they lie, and what is listed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import comfy.model_management as management
import folder_paths

from .host.folders import EVALUATION
from .host.model_choices import NONE

_MODEL_FILE = "config.json"
_BESIDE_THE_WEIGHTS = 1.2


def model_files() -> list[str]:
    """Files of weights for the evaluation, those inside of model folders left out."""
    names, folders = folder_paths.get_filename_list(EVALUATION), model_folders(EVALUATION)
    return [name for name in names if Path(name).parts[0] not in folders]


def model_folders(key: str) -> list[str]:
    """Names of the transformers models, folders with a config.json, under a key."""
    return sorted({folder.name for root in _roots(key) for folder in _models(root)})


def model_path(key: str, name: str) -> Path | None:
    """Where a file or folder of this name lies; None for "none" and for what is gone."""
    found = (root / name for root in _roots(key))
    return None if name == NONE else next((path for path in found if path.exists()), None)


def make_room(models: Iterable[Path | None]) -> None:
    """Has ComfyUI's own models leave the accelerator as far as these files and folders need it."""
    device = management.get_torch_device()
    if device.type != "cpu":
        size = sum(_size(model) for model in models if model is not None)
        management.free_memory(size * _BESIDE_THE_WEIGHTS, device)


def _size(model: Path) -> int:
    files = model.glob("*.safetensors") if model.is_dir() else [model]
    return sum(file.stat().st_size for file in files)


def _roots(key: str) -> Sequence[Path]:
    return [Path(path) for path in folder_paths.get_folder_paths(key)]


def _models(root: Path) -> Sequence[Path]:
    below = root.iterdir() if root.is_dir() else ()
    return [folder for folder in below if (folder / _MODEL_FILE).is_file()]
