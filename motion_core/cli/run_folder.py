"""The folder of a training run: may it be used, can it be written to, what is in it already.

A folder holds one run: its records and checkpoints (see `run_records`, `checkpoints`), and its
results once it has finished.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import MotionError
from ..files import remove_file
from ..training.records import METRICS, STATE
from ..training.records import SETTINGS as SETTINGS_RECORD

ADAPTER = "adapter.safetensors"
SETTINGS = "adapter.json"
RECORDS = (STATE, SETTINGS_RECORD, METRICS)
FOLDERS = ("checkpoints", "samples")


@contextmanager
def claimed(folder: Path, resume: bool) -> Iterator[None]:
    """The folder exists and can be written to; if the body fails before anything is in it, it is
    gone again.

    A finished run may be replaced, and one that failed before anything was kept. Raises MotionError
    if the folder holds a run that can be resumed, nothing to resume, or the system refuses.
    """
    _check_content(folder, resume)
    with writable_folder(folder):
        yield


def forget_earlier_run(folder: Path) -> None:
    """Removes the records and checkpoints of a run that `claimed` lets go, so that another one can
    begin. Its results stay until they are replaced.
    """
    for name in FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in RECORDS:
        remove_file(folder / name)


@contextmanager
def writable_folder(folder: Path) -> Iterator[None]:
    """Makes the folder, and folders above it, and tries to write; empty ones that it made go again
    if the body fails.
    """
    folder = folder.absolute()
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        _probe(folder)
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):  # not empty: something of worth has been written there
                path.rmdir()
        raise


def _probe(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise MotionError(
            f"{folder} cannot be written to: {error.strerror or error}. Choose another --output."
        ) from error


def _check_content(folder: Path, resume: bool) -> None:
    state = _state(folder)
    if resume:
        if state is None:
            raise MotionError(f"{folder} contains no run to resume. Leave out --resume.")
        return
    kept = any((folder / "checkpoints").glob("step-*"))
    if state is not None and state["state"] != "finished" and kept:
        raise MotionError(
            f"{folder} contains a run that stopped at step {state['step']} of {state['total']}. "
            "Add --resume to continue it, or choose another --output."
        )
    others = [name for name in (ADAPTER, SETTINGS, *RECORDS, *FOLDERS) if (folder / name).exists()]
    if state is None and others:
        raise MotionError(
            f"{folder} contains {others[0]}, which does not belong to a finished run. Choose "
            "another --output."
        )


def _state(folder: Path) -> dict[str, object] | None:
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return {name: state[name] for name in ("state", "step", "total")}
    except (ValueError, KeyError, TypeError) as error:
        raise MotionError(f"{path} is damaged ({error}). Choose another --output.") from error
