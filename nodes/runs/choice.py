"""Which folder a training runs in: a new one, one to go on with, or one whose adapter is reused.

In: the folder of all runs, the run's description as `trainer.describe` gives it, and what the user
wants done with an earlier run of the same. Out: a `RunChoice`. A run's folder is named after the
adapter and a hash of the description, so that changed settings never meet an old checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...motion_core.errors import SettingsError
from ...motion_core.training.records import SETTINGS, STATE, read_object, write_json
from ..host.file_choices import counted, new_file
from .registry.folder import CHECKPOINTS, RUN_ID

Resume = Literal["continue", "new", "reuse"]

Meaning = Callable[[Mapping[str, Any]], Mapping[str, Any]]

SAVED = "saved.json"  # in a run's folder: see `note_saved`
_STEP = re.compile(r"step-(\d+)")


@dataclass(frozen=True, kw_only=True)
class RunChoice:
    """folder: of the run. adapter: the file that is reused, with its steps; None if there is
    something to train or to save.
    """

    folder: Path
    adapter: Path | None = None
    steps: int = 0


def choose_run(
    root: Path,
    name: str,
    description: Mapping[str, Any],
    steps: int,
    resume: Resume,
    means: Meaning = dict,
) -> RunChoice:
    """The newest run of this name and description that serves, or else a new folder.

    means: what a description says, as older versions wrote it in other words.

    continue: a run that has done all `steps` is reused, one that has done fewer goes on. reuse: a
    finished run is reused although it was stopped early. new: always from the start. A run that
    has done more steps than asked does not serve, unless it is reused.
    """
    stem = f"{_ascii(name)}-{fingerprint(description)[:8]}"
    own = _numbered(root, stem)
    older = [folder for folder in _of_the_name(root, _ascii(name)) if folder not in own]
    same = [folder for folder in (*older, *own) if _is_of(folder, description, means)]
    for folder in () if resume == "new" else reversed(same):
        if choice := _serving(folder, steps, early=resume == "reuse"):
            return choice
    return RunChoice(folder=_unused(root, stem))


def run_to_resume(
    root: Path,
    run_id: str,
    description: Mapping[str, Any],
    steps: int,
    means: Meaning = dict,
) -> RunChoice:
    """Exactly this run, which goes on where it stopped. Raises SettingsError if it is gone, or this
    is not its description.
    """
    folder = root / run_id
    if not RUN_ID.fullmatch(run_id) or not read_object(folder / SETTINGS):
        raise SettingsError(
            f"Run {run_id!r}, which was to be resumed, no longer exists. Queue the graph itself "
            "to train again."
        )
    choice = _serving(folder, steps, early=False) if _is_of(folder, description, means) else None
    if choice is None:
        raise SettingsError(
            f"Run {run_id!r} cannot be resumed: its settings, clips or base were different, or "
            f"it has completed more than {steps} steps. Load its graph from the Runs tab and "
            "restore what has changed, or queue this graph to train again."
        )
    return choice


def fingerprint(description: Mapping[str, Any]) -> str:
    """A hash of all that decides what is learned."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def note_saved(run_folder: Path, adapter: Path, steps: int, *, whole: bool) -> None:
    """Remembers where the run's adapter of so many steps lies. whole: all that belongs to it is
    there, so that it can be reused; else it is still to be finished.
    """
    write_json(run_folder / SAVED, {"adapter": str(adapter), "steps": steps, "whole": whole})


def adapter_file(
    folder: Path, name: str, run_folder: Path, steps: int, *, others: Iterable[Path] = ()
) -> Path:
    """Where the run's adapter goes: the file that it wrote, or began, after the same steps, else a
    new one as `new_file` names it: what was kept of fewer steps stays.
    """
    before = read_object(run_folder / SAVED)
    if before.get("steps") == steps:
        path = Path(before["adapter"])
        if path.parent == folder and path.stem.startswith(name):
            return path
    return new_file(folder, name, others=others, replace=False)


def _serving(folder: Path, steps: int, *, early: bool) -> RunChoice | None:
    """What the run offers to one that asks for `steps`; early: its adapter of fewer or more will
    do.
    """
    adapter, done = _finished(folder)
    if adapter is not None and (done == steps or early):
        return RunChoice(folder=folder, adapter=adapter, steps=done)
    return RunChoice(folder=folder) if _furthest(folder) <= steps else None


def _ascii(name: str) -> str:
    """As part of a run's id, which stands in addresses."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_") or "motion"


def _is_of(folder: Path, description: Mapping[str, Any], means: Meaning) -> bool:
    kept = read_object(folder / SETTINGS)
    return bool(kept) and means(kept) == means(json.loads(json.dumps(description)))


def _of_the_name(root: Path, name: str) -> list[Path]:
    """The runs whose folders are of this name and any description."""
    pattern = re.compile(rf"{re.escape(name)}-[0-9a-f]{{8}}(?:-\d+)?")
    return sorted(path for path in _entries(root) if pattern.fullmatch(path.name))


def _entries(root: Path) -> list[Path]:
    return list(root.iterdir()) if root.is_dir() else []


def _finished(folder: Path) -> tuple[Path | None, int]:
    """The adapter of a finished run, if it is still there, and its steps. Older versions noted it
    only once it was whole.
    """
    record = read_object(folder / SAVED)
    finished = read_object(folder / STATE).get("state") == "finished"
    if not finished or not record.get("whole", bool(record)):
        return None, 0
    adapter = Path(record["adapter"])
    return (adapter, int(record["steps"])) if adapter.is_file() else (None, 0)


def _furthest(folder: Path) -> int:
    """The last step that a checkpoint holds, 0 without one."""
    names = (path.name for path in (folder / CHECKPOINTS).glob("step-*"))
    return max((int(match[1]) for name in names if (match := _STEP.fullmatch(name))), default=0)


def _numbered(root: Path, stem: str) -> list[Path]:
    """The folders stem, stem-2, stem-3 … that exist, in this order."""
    pattern = re.compile(rf"{re.escape(stem)}(?:-(\d+))?")
    found = {
        int(match[1] or 1): path
        for path in _entries(root)
        if (match := pattern.fullmatch(path.name))
    }
    return [found[number] for number in sorted(found)]


def _unused(root: Path, stem: str) -> Path:
    return next(root / name for name in counted(stem) if not (root / name).exists())
