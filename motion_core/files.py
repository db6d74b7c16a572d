"""Writing files so that nothing half-written stays under its own name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from .errors import MotionError


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
        partial.replace(path)
    except OSError as error:
        raise MotionError(
            f"{path} cannot be written: {error.strerror or error}. Choose another location, or "
            "free up space."
        ) from error
    finally:
        if partial.exists():
            partial.unlink()
