"""Which adapters the loaders list, and where a new file goes: names and paths alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path

from ...motion_core.errors import SettingsError
from ...motion_core.files import is_device_name

# Where the official MotionDirector's trainer puts a LoRA below its checkpoint folder.
_LIST = re.compile(r"(.+)[\\/](?:temporal|spatial)[\\/]lora[\\/][^\\/]+_unet\.pt")
_BELOW_THE_FOLDER = 3  # temporal/lora/150_unet.pt
_LONGEST_NAME = 64


def checkpoint_folders(files: Iterable[str]) -> dict[str, str]:
    """The official MotionDirector's checkpoint folders among listed files: by the folder's name,
    one of the files in it.
    """
    matches = [match for match in map(_LIST.fullmatch, sorted(files)) if match]
    return {match[1]: match[0] for match in reversed(matches)}


def folder_of(file: Path) -> Path:
    """The checkpoint folder of a file that `checkpoint_folders` gave."""
    return file.parents[_BELOW_THE_FOLDER - 1]


def listed_names(places: Mapping[str, Mapping[str, Path]]) -> dict[str, Path]:
    """Files by the name that a list shows. places: by their folder's key, files by name.

    A name of two files has its folder's key before it, so that each can be chosen.
    """
    files: dict[str, set[Path]] = {}
    for named in places.values():
        for name, path in named.items():
            files.setdefault(name, set()).add(path)
    return {
        name if len(files[name]) == 1 else f"{key}/{name}": path
        for key, named in places.items()
        for name, path in named.items()
    }


def new_file(folder: Path, name: str, *, others: Iterable[Path] = (), replace: bool) -> Path:
    """folder/name.safetensors, or if that exists and shall not be replaced name-2, name-3 …

    others: further folders of the same list; a name that stands there is always passed over, so
    that a list never has two files of one name, however it is spelled. Raises SettingsError for a
    name that cannot be a file's on every system.
    """
    here = _taken(folder)
    elsewhere = {file for other in others if other != folder for file in _taken(other)}
    for stem in counted(checked_name(name)):
        file = f"{stem}.safetensors"
        free = file.casefold() not in here or (replace and (folder / file).exists())
        if free and file.casefold() not in elsewhere:
            return folder / file
    raise AssertionError("numbers have no end")


def _taken(folder: Path) -> set[str]:
    """Names in a folder as Windows and macOS compare them, to which "Car" and "car" are one."""
    return {path.name.casefold() for path in folder.iterdir()} if folder.is_dir() else set()


def counted(stem: str) -> Iterator[str]:
    """stem, stem-2, stem-3 and so on, without an end."""
    yield stem
    for number in count(2):
        yield f"{stem}-{number}"


def checked_name(name: str) -> str:
    """A name that can be a file's on every system; raises SettingsError for another one."""
    name = name.strip()
    if not name or not re.fullmatch(r"[\w][\w .()+-]*", name) or len(name) > _LONGEST_NAME:
        raise SettingsError(
            f"name is {name!r}; it is used as a file name. Use letters, digits, spaces, '-', '_' "
            f"and '.', at most {_LONGEST_NAME}, starting with a letter or digit."
        )
    name = name.rstrip(" .").removesuffix(".safetensors").rstrip(" .")
    if is_device_name(name):
        raise SettingsError(
            f"name is {name!r}, which Windows keeps for a device: no file can be called that "
            "there. Use another name."
        )
    return name
