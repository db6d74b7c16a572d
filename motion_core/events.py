"""What a training run tells the world, as frozen records handed to one callable.

The callable is called on the trainer's thread. It may raise `CancelRun` (or any other exception)
to stop the run; the trainer then saves a resumable state, restores the model and lets the
exception pass. To a `StepDone` it may answer with a `Request`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Flag, auto
from pathlib import Path


class CancelRun(Exception):
    """Raised from an event sink to stop a run after the current step; the state is kept."""


class StopRun(Exception):
    """Raised from an event sink to end a run early: `train` saves and returns what is learned."""


class Request(Flag):
    """What a sink may answer to a `StepDone`, to be done once before the next step."""

    SAVE = auto()
    SAMPLE = auto()


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events. step: optimiser steps done so far, 0 before the first."""

    step: int


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """total: steps of the whole run. resumed: whether `step` comes from a checkpoint."""

    total: int
    resumed: bool
    settings: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class StepDone(Event):
    """losses: by term name, mean over accumulation. memory_bytes: the training's peak so far,
    allocated (CUDA) or resident (CPU); memory_now_bytes: after the step, 0 if it is not known.
    """

    total: int
    losses: Mapping[str, float]
    learning_rate: float
    grad_norm: float
    seconds: float
    memory_bytes: int
    memory_now_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class SampleMade(Event):
    """frames_path: an mp4 or image made from the adapter as it is at this step."""

    prompt: str
    frames_path: Path


@dataclass(frozen=True, kw_only=True)
class Saved(Event):
    """A resumable checkpoint was written."""

    path: Path


@dataclass(frozen=True, kw_only=True)
class Finished(Event):
    """The run came to its end; `losses` are the last step's."""

    losses: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cancelled(Event):
    """The run was stopped from outside; `path` resumes it."""

    path: Path


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """The run stopped by itself; `path` is the last good state, if there is one."""

    message: str
    path: Path | None


EventSink = Callable[[Event], Request | None]


def ignore_events(event: Event) -> None:
    """The sink of a run that nobody watches."""
