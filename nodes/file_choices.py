"""Which adapters the loaders list, and where a new file goes: names and paths alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, count
from pathlib import Path

from .run_choice import checked_name

# Where the official MotionDirector's trainer puts a LoRA below its checkpoint folder.
_LIST = re.compile(r"(.+)[\\/](?:temporal|spatial)[\\/]lora[\\/][^\\/]+_unet\.pt")
_BELOW_THE_FOLDER = 3  # temporal/lora/150_unet.pt


def checkpoint_folders(files: Iterable[str]) -> dict[str, str]:
    """The official MotionDirector's checkpoint folders among listed files: by the folder's name,
    one of the files in it.
    """
    matches = [match for match in map(_LIST.fullmatch, sorted(files)) if match]
    return {match[1]: match[0] for match in reversed(matches)}


def folder_of(file: Path) -> Path:
    """The checkpoint folder of a file that `checkpoint_folders` gave."""
    return file.parents[_BELOW_THE_FOLDER - 1]


def new_file(folder: Path, name: str, *, replace: bool) -> Path:
    """folder/name.safetensors, or if that exists and shall not be replaced name-2, name-3 …

    Raises SettingsError for a name that cannot be a file's on every system.
    """
    stem = checked_name(name)
    stems = chain([stem], (f"{stem}-{number}" for number in count(2)))
    paths = (folder / f"{stem}.safetensors" for stem in stems)
    return next(path for path in paths if replace or not path.exists())
