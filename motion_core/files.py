"""Writing files so that nothing half-written stays under its own name, and names that every system
takes.

On Windows nobody can replace or delete a file that a program has open, be it a virus scanner or the
server that sends it to a page. That mostly takes a moment, so such an action is tried again.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from .errors import MotionError

T = TypeVar("T")

PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # seconds before an action is tried again
# Windows: access denied, sharing violation, lock violation, file with a mapped section open.
_IN_USE = (5, 32, 33, 1224)
# Devices of Windows, which no file there can be called after, whatever its suffix.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?:\..*)?", re.I)


def is_device_name(name: str) -> bool:
    """Whether Windows takes a file's name for a device's: "nul", "Con.txt", "LPT1"."""
    return _DEVICES.fullmatch(name.rstrip(" .")) is not None


def patiently(action: Callable[[], T]) -> T:
    """Does it, up to 3 seconds later where another program has a file open that it needs; raises
    what it raised last.
    """
    for pause in PAUSES:
        try:
            return action()
        except OSError as error:
            if not _is_in_use(error):
                raise
            time.sleep(pause)
    return action()


def remove_file(path: Path) -> None:
    """Deletes a file, if it is there; see `patiently`."""
    patiently(lambda: path.unlink(missing_ok=True))


def remove_folder(folder: Path) -> None:
    """Deletes a folder with all that is in it; see `patiently`."""
    patiently(lambda: shutil.rmtree(folder))


def _is_in_use(error: OSError) -> bool:
    return getattr(error, "winerror", None) in _IN_USE


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary name of the same suffix beside `path`; a body that ends well renames it to
    `path`.

    Missing folders are made. After an exception the temporary file is gone and an older file at
    `path` is untouched. Raises MotionError, naming the path, if the system does not let it be
    written.
    """
    path = path.absolute()
    partial = path.with_name(f".{path.stem}.{uuid4().hex[:8]}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
        mode = partial.stat().st_mode  # as the user's umask has it; safetensors would allow less
        yield partial
        partial.chmod(mode)
        with partial.open("r+b") as file:
            os.fsync(file.fileno())
        patiently(lambda: partial.replace(path))
    except OSError as error:
        way_out = "Choose another location, or free up space."
        if _is_in_use(error):
            way_out = "Close the programs that have it open, or choose another location."
        raise MotionError(
            f"{path} cannot be written: {error.strerror or error}. {way_out}"
        ) from error
    finally:
        if partial.exists():
            remove_file(partial)
