"""A run that a thread of this process trains: an event sink that remembers, and that hands on what
people ask of it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, Literal, get_args

from ....motion_core.events import (
    Cancelled,
    CancelRun,
    Event,
    Failed,
    Finished,
    Request,
    SampleMade,
    Saved,
    Started,
    StepDone,
    StopRun,
)
from ....motion_core.files import remove_file
from ....motion_core.training.records import STATE, read_object, write_json
from .curves import Point, short
from .folder import (
    MARKS,
    RunOrigin,
    RunRequestError,
    add_mark,
    append_mark,
    forget_samples,
    in_order,
    read_marks,
    sample_entry,
    samples_of,
)
from .history import read_history
from .record import RUN, RunRecord, read_record
from .throttle import Throttle

Command = Literal["stop", "save", "sample", "pause"]
COMMANDS: tuple[str, ...] = get_args(Command)
# What a run may be busy with for longer than a message's time, other than steps.
Doing = Literal["encoding", "attaching", "first", "sampling", "inverting"]
ENDING = {"stop", "pause"}
ASKABLE = ("preparing", "running")
ACTIVE = (*ASKABLE, "saving")


class LiveRun:
    """Called with the trainer's events; any thread may read it and ask it for something.

    States: preparing (before the first step), running, saving (after the last step), finished,
    cancelled, paused, failed. A run that only serves again goes from preparing to finished.
    """

    def __init__(self, folder: Path, origin: RunOrigin) -> None:
        self.folder, self.origin = folder, origin
        self.state, self.message = "preparing", ""
        self.doing: Doing | Literal[""] = ""
        self.feed: Throttle | None = None
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._began = time.time()
        earlier = read_record(folder) or RunRecord(part=0, began=self._began)
        own = [origin.node_id, origin.workflow_id]
        self.nodes = [*(list(node) for node in earlier.nodes if list(node) != own), own]
        self.part = earlier.part + 1
        self.saved_as = list(earlier.saved_as)
        self.first_began = earlier.began
        self._earlier_seconds = earlier.elapsed or 0.0
        self._ended: float | None = None
        # Where the training of this part began, as its pace goes from there.
        self.trained_from: dict[str, float] | None = None
        self._read_what_was_done()
        self.write()

    def _read_what_was_done(self) -> None:
        """So that the pages lose nothing of an earlier part while this one prepares."""
        saved = read_object(self.folder / STATE)
        self.step, self.total = int(saved.get("step", 0)), int(saved.get("total", 0))
        self.curves, self.stats = read_history(self.folder)
        self.samples = samples_of(self.folder)
        self.marks = read_marks(self.folder)

    def __call__(self, event: Event) -> Request | None:
        """Raises StopRun or CancelRun where that was asked for."""
        with self._lock:
            self._take(event)
        if self.feed is not None:
            self.feed.changed()
        return self._answer(event) if isinstance(event, (Started, StepDone)) else None

    def ask(self, command: str) -> None:
        """Does it after the step that is going on. Raises RunRequestError if the run is over, or is
        to end already.
        """
        with self._lock:
            if self.state not in ASKABLE:
                raise RunRequestError(
                    f"Run {self.folder.name!r} is {self.state}; only an active run can {command}.",
                    409,
                )
            asked = ENDING & self._asked
            if asked and command in ENDING:
                raise RunRequestError(
                    f"Run {self.folder.name!r} has already been asked to {asked.pop()}. It will "
                    "do so after this step.",
                    409,
                )
            self._asked.add(command)

    def begins(self, doing: Doing) -> None:
        """Tells what the run does until its next event."""
        with self._lock:
            self.doing = doing
        if self.feed is not None:
            self.feed.changed()

    def adapter_saved(self, name: str) -> None:
        """The finished adapter is in a loader's list under this name."""
        with self._lock:
            self.saved_as = [*(other for other in self.saved_as if other != name), name]
        self._tell()

    def over(self, state: str, message: str = "") -> None:
        """The run's node is left. What had come to its end keeps its state, unless what followed,
        such as saving the adapter, failed.
        """
        with self._lock:
            if self.state in ACTIVE or state == "failed":
                self.state, self.message = state, message or self.message
            self._ended, self.doing = time.time(), ""
        self._tell()

    def _tell(self) -> None:
        self.write()
        if self.feed is not None:
            self.feed.changed()

    def summary(self) -> dict[str, Any]:
        """What the header and the figures show, without history."""
        with self._lock:
            return {
                **asdict(self.record()),
                "id": self.folder.name,
                "doing": self.doing,
                "trained_from": self.trained_from,
                "step": self.step,
                "total": self.total,
                "asked": sorted(self._asked),
                **self.stats.shown(),
            }

    def points(self, since: int) -> dict[str, list[Point]]:
        with self._lock:
            return self.curves.since(since)

    def lists(self) -> dict[str, Any]:
        """Samples and marks."""
        with self._lock:
            return {
                "samples": list(self.samples),
                "checkpoints": list(self.marks["saved"]),
                "resumes": list(self.marks["resumed"]),
            }

    def record(self) -> RunRecord:
        return RunRecord(
            **asdict(self.origin),
            state=self.state,
            part=self.part,
            nodes=self.nodes,
            began=self.first_began,
            latest=self._began,
            elapsed=self._elapsed(),
            saved_as=self.saved_as,
            message=self.message,
        )

    def _elapsed(self) -> float:
        return short(self._earlier_seconds + (self._ended or time.time()) - self._began)

    def write(self) -> None:
        """run.json, for this server once the run is over and for a restarted one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / RUN, asdict(self.record()))

    def _take(self, event: Event) -> None:
        self.doing = "first" if isinstance(event, Started) else ""
        if isinstance(event, Started):
            self._start(event)
        elif isinstance(event, StepDone):
            self.step, self.total = event.step, event.total
            self.curves.add(event.step, event.losses)
            self.stats.add(event)
        elif isinstance(event, SampleMade):
            self._add_sample(event)
        elif isinstance(event, Saved):
            self._mark("saved", event.step)
            self.write()
        elif isinstance(event, Failed):
            self.state, self.message = "failed", event.message
        elif isinstance(event, Cancelled):
            self.state = "paused" if "pause" in self._asked else "cancelled"
        elif isinstance(event, Finished):
            self.state = "saving"

    def _start(self, event: Started) -> None:
        """Forgets what comes after this step, as the trainer does; a run that begins anew forgets
        all that the folder tells of an earlier one.
        """
        self.state, self.step, self.total = "running", event.step, event.total
        if self.curves.newest() > event.step:
            self.curves, self.stats = read_history(self.folder, event.step)
        forget_samples(self.folder, after=event.step)
        self.samples = samples_of(self.folder)
        if event.resumed:
            self._mark("resumed", event.step)
        else:
            self._earlier_seconds = 0.0
            remove_file(self.folder / MARKS)
            self.marks = read_marks(self.folder)
        self.trained_from = {"step": event.step, "elapsed": self._elapsed()}
        self.write()

    def _add_sample(self, event: SampleMade) -> None:
        sample = sample_entry(event.frames_path.name)
        if sample is not None:
            others = (s for s in self.samples if s["file"] != sample["file"])
            self.samples = in_order((*others, sample))

    def _mark(self, kind: str, step: int) -> None:
        add_mark(self.marks, kind, step)
        append_mark(self.folder, {"kind": kind, "step": step})

    def _answer(self, event: Event) -> Request | None:
        """Before the first step there is nothing to keep: a stop is a cancel there."""
        if "stop" in self._asked and event.step > 0:
            raise StopRun
        if ENDING & self._asked:
            raise CancelRun
        if not isinstance(event, StepDone):
            return None
        with self._lock:
            asked, self._asked = self._asked, set()
        answers = {"save": Request.SAVE, "sample": Request.SAMPLE}
        return reduce(or_, (answers[name] for name in asked), Request(0))
