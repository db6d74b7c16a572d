"""A run folder as a panel sees it: what became of the run, its samples, its size on the disk.

root/<run id>/ holds the trainer's settings.json, state.json, metrics.jsonl and checkpoints/,
samples/step-N.mp4, and of the registry run.json (see `RunRecord`), marks.jsonl (checkpoints and
resumptions as they came) and prompt.json (what to queue to do it again).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....motion_core.errors import MotionError
from ....motion_core.files import remove_file, remove_folder
from ....motion_core.training.records import STATE
from .record import RUN

STOPPED = ("cancelled", "paused", "failed", "interrupted")
MARKS, PROMPT = "marks.jsonl", "prompt.json"
CHECKPOINTS, SAMPLES, REFERENCE = "checkpoints", "samples", "reference"
SCRIPT = "script"
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SAMPLE = re.compile(
    rf"(step-(?P<step>\d+)(-(?P<prompt>\d+))?|{REFERENCE})\.(mp4|webm|webp|gif|png|jpg)"
)


class RunRequestError(MotionError):
    """A request that cannot be met. status: as in HTTP, 400 wrong, 404 not there, 409 not now."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class RunOrigin:
    """Where a run comes from. node_id: as the server knows it, "7" or, in a subgraph, "12:3".
    workflow_id: the graph's own, "" if it has none; it keeps equal node ids of two graphs apart.
    SCRIPT of a prompt that came without a graph: its run is no node's.

    title: what a list calls the run. memory_total: of the device, in bytes, 0 if unknown.
    """

    node_id: str
    prompt_id: str
    workflow_id: str = ""
    title: str = ""
    memory_total: int = 0


def run_folder(root: Path, run_id: str) -> Path:
    """The folder of an existing run. Raises RunRequestError for an id that is none, leaves the root
    or is not there.
    """
    if not RUN_ID.fullmatch(run_id):
        raise RunRequestError(
            f"{run_id!r} is not a valid run id. Use letters, digits, '.', '_' and '-'.", 400
        )
    folder = root / run_id
    if not is_run(folder):
        raise RunRequestError(f"There is no run {run_id!r}. Reload the list of runs.", 404)
    return folder


def run_folders(root: Path) -> Iterator[Path]:
    """Those of all runs that can be asked for by their id."""
    for folder in root.iterdir() if root.is_dir() else ():
        if RUN_ID.fullmatch(folder.name) and is_run(folder):
            yield folder


def is_run(folder: Path) -> bool:
    """A link is none: what it leads to is not the registry's to show and delete."""
    recorded = (folder / RUN).is_file() or (folder / STATE).is_file()
    return recorded and not folder.is_symlink()


def sample_file(folder: Path, name: str) -> Path:
    """A sample or the reference of a run, by its file name. Raises RunRequestError for any other
    name, and for a link that leads out of the folder.
    """
    if not _SAMPLE.fullmatch(name):
        raise RunRequestError(
            f"{name!r} is not a sample. Samples are step-<number>.mp4 and reference.mp4.", 400
        )
    path = folder / SAMPLES / name
    if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        raise RunRequestError(f"Run {folder.name!r} has no sample {name!r}.", 404)
    return path


def sample_name(step: int, prompt: int) -> str:
    """The file name of a sample. prompt: which of the run's sample prompts it shows, from 1."""
    return f"step-{step}.mp4" if prompt == 1 else f"step-{step}-{prompt}.mp4"


def samples_of(folder: Path) -> list[dict[str, Any]]:
    """Step, prompt (from 1) and file name of every sample, by step and prompt."""
    found = (sample_entry(path.name) for path in _sample_paths(folder))
    return in_order(sample for sample in found if sample is not None)


def sample_entry(name: str) -> dict[str, Any] | None:
    """What the file name of a sample says; None of another file's."""
    match = _SAMPLE.fullmatch(name)
    if match is None or match["step"] is None:
        return None
    return {"step": int(match["step"]), "prompt": int(match["prompt"] or 1), "file": name}


def in_order(samples: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """By step and prompt."""
    return sorted(samples, key=lambda sample: (sample["step"], sample["prompt"]))


def reference_of(folder: Path) -> str | None:
    """The file name of the clip that the run learns from, if it was put beside the samples."""
    names = [path.name for path in _sample_paths(folder) if path.stem == REFERENCE]
    return names[0] if names else None


def _sample_paths(folder: Path) -> list[Path]:
    samples = folder / SAMPLES
    return sorted(samples.iterdir()) if samples.is_dir() else []


def forget_samples(folder: Path, after: int) -> None:
    """Removes the samples of later steps, which a resumed run does again."""
    for sample in samples_of(folder):
        if sample["step"] > after:
            remove_file(folder / SAMPLES / sample["file"])


def disk_size(folder: Path) -> int:
    """Bytes of all files in it."""
    total = 0
    for place, _, names in os.walk(folder):  # which goes on where a folder has just been replaced
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue
    return total


def content_version(folder: Path) -> tuple[int, ...]:
    """Changes with the files that a run over has: when something was last put into its folders, or
    taken out.
    """
    places = (folder, folder / CHECKPOINTS, folder / SAMPLES)
    return tuple(place.stat().st_mtime_ns for place in places if place.is_dir())


def delete(folder: Path) -> None:
    """Removes the run with all that is in its folder. Raises MotionError if the system refuses."""
    try:
        remove_folder(folder)
    except OSError as error:
        raise MotionError(
            f"{folder} cannot be deleted: {error.strerror or error}. Close the programs that use "
            "it, or delete it yourself."
        ) from error


def can_resume(folder: Path, state: str, step: int, total: int) -> bool:
    """Whether queueing the run's prompt again goes on from a checkpoint. A finished run that has
    not done all its steps was stopped and kept.
    """
    unfinished = state in STOPPED or (state == "finished" and step < total)
    return unfinished and has_checkpoint(folder) and (folder / PROMPT).is_file()


def has_checkpoint(folder: Path) -> bool:
    return any((folder / CHECKPOINTS).glob("step-*"))


def append_mark(folder: Path, mark: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / MARKS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(mark) + "\n")


def read_marks(folder: Path) -> dict[str, list[int]]:
    """Steps of the "saved" and "resumed" marks, as they were left by what was done again later. A
    damaged line is left out.
    """
    path = folder / MARKS
    marks: dict[str, list[int]] = {"saved": [], "resumed": []}
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.split("\n")[:-1]:
        with suppress(ValueError, TypeError, KeyError):
            mark = json.loads(line)
            add_mark(marks, mark["kind"], int(mark["step"]))
    return marks


def add_mark(marks: dict[str, list[int]], kind: str, step: int) -> None:
    """A resumption at a step undoes what came after it."""
    if kind == "resumed":
        for name, steps in marks.items():
            marks[name] = [earlier for earlier in steps if earlier <= step]
    if step not in marks[kind]:
        marks[kind].append(step)
