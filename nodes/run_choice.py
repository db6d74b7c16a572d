"""Which folder a training runs in: a new one, one to go on with, or one whose adapter is reused.

In: the folder of all runs, the run's description as `trainer.describe` gives it, and what the user
wants done with an earlier run of the same. Out: a `RunChoice`. A run's folder is named after the
adapter and a hash of the description, so that changed settings never meet an old checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..motion_core.errors import SettingsError

Resume = Literal["continue", "new", "reuse"]

# What the trainer and this pack leave in a run's folder.
DESCRIPTION, STATE, SAVED = "settings.json", "state.json", "saved.json"
_STEP = re.compile(r"step-(\d+)")
_LONGEST_NAME = 64


@dataclass(frozen=True, kw_only=True)
class RunChoice:
    """folder: of the run. adapter: the file that is reused; None if there is something to train."""

    folder: Path
    adapter: Path | None = None


def choose_run(
    root: Path, name: str, description: Mapping[str, Any], steps: int, resume: Resume
) -> RunChoice:
    """The newest run of this name and description that serves, or else a new folder.

    continue: a run that has done all `steps` is reused, one that has done fewer goes on. reuse: a
    finished run is reused although it was stopped early. new: always from the start. A run that
    has done more steps than asked does not serve, unless it is reused.
    """
    stem = f"{_ascii(name)}-{fingerprint(description)[:8]}"
    same = [folder for folder in _numbered(root, stem) if _is_of(folder, description)]
    for folder in () if resume == "new" else reversed(same):
        adapter, done = _finished(folder)
        if adapter is not None and (done == steps or resume == "reuse"):
            return RunChoice(folder=folder, adapter=adapter)
        if _furthest(folder) <= steps:
            return RunChoice(folder=folder)
    return RunChoice(folder=_unused(root, stem))


def fingerprint(description: Mapping[str, Any]) -> str:
    """A hash of all that decides what is learned."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def note_saved(run_folder: Path, adapter: Path, steps: int) -> None:
    """Remembers where a finished run's adapter lies, so that it can be reused."""
    record = json.dumps({"adapter": str(adapter), "steps": steps})
    (run_folder / SAVED).write_text(record, encoding="utf-8")


def adapter_file(folder: Path, name: str, run_folder: Path) -> Path:
    """Where the run's adapter goes: the file that it wrote before, else the first of name, name-2 …
    that does not exist.
    """
    before = _record(run_folder / SAVED).get("adapter")
    if before and Path(before).parent == folder and Path(before).stem.startswith(name):
        return Path(before)
    candidates = (folder / f"{stem}.safetensors" for stem in _counted(name))
    return next(path for path in candidates if not path.exists())


def checked_name(name: str) -> str:
    """A name that can be a file's on every system; raises SettingsError for another one."""
    name = name.strip()
    if not name or not re.fullmatch(r"[\w][\w .()+-]*", name) or len(name) > _LONGEST_NAME:
        raise SettingsError(
            f"name is {name!r}; it becomes a file's name. Use letters, digits, spaces, '-', '_' "
            f"and '.', {_LONGEST_NAME} at most, beginning with a letter or digit."
        )
    return name.rstrip(" .").removesuffix(".safetensors")


def _ascii(name: str) -> str:
    """As part of a run's id, which stands in addresses."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_") or "motion"


def _is_of(folder: Path, description: Mapping[str, Any]) -> bool:
    return _record(folder / DESCRIPTION) == json.loads(json.dumps(description))


def _finished(folder: Path) -> tuple[Path | None, int]:
    """The adapter of a finished run, if it is still there, and its steps."""
    record = _record(folder / SAVED)
    finished = _record(folder / STATE).get("state") == "finished"
    if not finished or not record or not Path(record["adapter"]).is_file():
        return None, 0
    return Path(record["adapter"]), int(record["steps"])


def _furthest(folder: Path) -> int:
    """The last step that a checkpoint holds, 0 without one."""
    names = (path.name for path in (folder / "checkpoints").glob("step-*"))
    return max((int(match[1]) for name in names if (match := _STEP.fullmatch(name))), default=0)


def _numbered(root: Path, stem: str) -> list[Path]:
    """The folders stem, stem-2, stem-3 … that exist, in this order."""
    pattern = re.compile(rf"{re.escape(stem)}(?:-(\d+))?")
    found = {
        int(match[1] or 1): path
        for path in (root.iterdir() if root.is_dir() else ())
        if (match := pattern.fullmatch(path.name))
    }
    return [found[number] for number in sorted(found)]


def _unused(root: Path, stem: str) -> Path:
    return next(root / name for name in _counted(stem) if not (root / name).exists())


def _counted(stem: str) -> Any:
    """stem, stem-2, stem-3 and so on, without an end."""
    yield stem
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1


def _record(path: Path) -> dict[str, Any]:
    """A JSON object; empty if there is none, or a damaged one, of which nothing can be reused."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
