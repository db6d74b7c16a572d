"""What the menus of model files say besides files, and the file of a choice."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from ...motion_core.errors import FormatError
from .base_names import SAMPLE_MODULE
from .folders import MOTION_MODULES

NONE = "none"
OWN = "its own"


def motion_module_names() -> list[str]:
    """Files in ComfyUI's folder of motion modules, and the one that ships."""
    return [*folder_paths.get_filename_list(MOTION_MODULES), SAMPLE_MODULE]


def motion_module(choice: str) -> tuple[Path, str | None]:
    """The file of a motion module, and its version where its shapes do not tell it."""
    if choice != SAMPLE_MODULE:
        return model_file(MOTION_MODULES, choice), None
    from ...motion_core.shape_world.base import MOTION_MODULE, MOTION_MODULE_VERSION

    return MOTION_MODULE, MOTION_MODULE_VERSION


def optional_file(key: str, name: str) -> Path | None:
    return None if name in (NONE, OWN) else model_file(key, name)


def model_file(key: str, name: str) -> Path:
    """The file of a name that a menu showed; raises FormatError if it is gone."""
    path = folder_paths.get_full_path(key, name)
    if path is None:
        raise FormatError(
            f"The file {name} no longer exists in models/{key}. Refresh the node and choose "
            "another."
        )
    return Path(path)
