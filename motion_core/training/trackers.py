"""A training's losses in TensorBoard or Weights & Biases, where they are installed and asked for.

An event sink over accelerate's trackers: at the start the settings, after each step its losses,
learning rate, gradient norm, seconds and memory. A tracker that fails on the way is left, with a
warning: the run's own records are whole without it.

TensorBoard's files are in the run's folder, `tensorboard/`. A run at Weights & Biases is in the
project `motion-adapters`; one that is resumed there is another run that begins at its step.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from ..errors import SettingsError
from ..events import Event, Started, StepDone
from ..settings import Settings, setting

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker

logger = logging.getLogger(__name__)

LogTo = Literal["none", "tensorboard", "wandb"]
PROJECT = "motion-adapters"
# What has to be installed besides accelerate.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "tensorboard": ("tensorboard", "tensorboardX"),
    "wandb": ("wandb",),
}
_GIB = 2**30


class Tracker(Protocol):
    """What is used of accelerate's `GeneralTracker`."""

    def store_init_configuration(self, values: dict) -> None: ...

    def log(self, values: dict, step: int | None = None) -> None: ...

    def finish(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class TrackerSettings(Settings):
    """Where losses are logged besides the run's own folder."""

    log_to: LogTo = setting(
        "none",
        label="log to",
        help="Also logs losses, learning rate and memory to tensorboard (in the run's folder) or "
        "wandb (Weights & Biases, online), if it is installed.",
    )


def check_tracker(log_to: str) -> None:
    """Raises SettingsError where what is asked for is not installed; before any work."""
    needed = _NEEDS[log_to]
    if needed and not any(importlib.util.find_spec(name) for name in needed):
        raise SettingsError(
            f"log_to is {log_to!r}, but {needed[0]} is not installed. Install it with the Python "
            f"that runs this (python -m pip install {needed[0]}), or set log_to to none."
        )


@contextmanager
def tracked(log_to: str, run_folder: Path, name: str) -> Iterator[TrackerSink]:
    """A sink for the run's events; what is logged is whole once the context ends. name: of the run,
    for lists of runs. Raises SettingsError as `check_tracker`, and where the tracker does not
    start.
    """
    check_tracker(log_to)
    sink = TrackerSink(None if log_to == "none" else _started(log_to, run_folder, name))
    try:
        yield sink
    finally:
        sink.finish()


class TrackerSink:
    """Hands what the events say to a tracker. None: nothing is logged."""

    def __init__(self, tracker: Tracker | None) -> None:
        self.tracker = tracker

    def __call__(self, event: Event) -> None:
        if self.tracker is None:
            return
        try:
            if isinstance(event, Started):
                self.tracker.store_init_configuration(_plain(event.settings))
            elif isinstance(event, StepDone):
                self.tracker.log(_figures(event), step=event.step)
        except Exception as error:  # of any library that a tracker uses
            logger.warning("Logging stopped at step %d: %s", event.step, error)
            self.finish()

    def finish(self) -> None:
        """Writes what is left; nothing is logged after it."""
        tracker, self.tracker = self.tracker, None
        try:
            if tracker is not None:
                tracker.finish()
        except Exception as error:
            logger.warning("The log may not be complete: %s", error)


def _started(log_to: str, run_folder: Path, name: str) -> GeneralTracker:
    from accelerate import PartialState, tracking  # heavy, and only wanted here

    PartialState()  # without it, accelerate's own logging raises
    run_folder.mkdir(parents=True, exist_ok=True)
    try:
        if log_to == "wandb":
            _check_login()
            tracker = tracking.WandBTracker(PROJECT, name=name, dir=str(run_folder))
        else:
            tracker = tracking.TensorBoardTracker("tensorboard", str(run_folder))
        if hasattr(tracker, "start"):  # older versions of accelerate have it done by now
            tracker.start()
    except SettingsError:
        raise
    except Exception as error:
        raise SettingsError(
            f"log_to is {log_to!r}, which did not start: {error}. Check it, or set log_to to none."
        ) from error
    return tracker


def _check_login() -> None:
    """wandb would ask for a key on the console, where nobody looks while ComfyUI runs."""
    wandb = importlib.import_module("wandb")  # not among the requirements
    if wandb.setup().settings.mode in (None, "online") and not wandb.api.api_key:
        raise SettingsError(
            "log_to is 'wandb', but nobody is logged in at Weights & Biases here. Run wandb login "
            "once, set WANDB_MODE to offline, or set log_to to none."
        )


def _figures(done: StepDone) -> dict[str, float]:
    return {
        **{f"loss/{name}": value for name, value in done.losses.items()},
        "learning_rate": done.learning_rate,
        "grad_norm": done.grad_norm,
        "seconds_per_step": done.seconds,
        "memory_gib": done.memory_bytes / _GIB,
    }


def _plain(settings: Mapping[str, object]) -> dict[str, object]:
    """Values that every tracker takes; None is left out, which TensorBoard's hyperparameters are
    not allowed to be.
    """
    return {k: v for k, v in settings.items() if isinstance(v, (bool, int, float, str))}
