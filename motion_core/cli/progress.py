"""A training run's events as a line on the terminal, or as a line for every tenth of the run."""

from __future__ import annotations

from collections.abc import Mapping

from ..events import Event, SampleMade, Started, StepDone
from .terminal import Terminal, bar

TENTHS = 10
DECAY = 0.9


class TrainProgress:
    """An event sink. Losses and seconds are averages of the last steps, as single ones jump."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.averages: dict[str, Average] = {}
        self.seconds = Average()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started) and event.resumed:
            self.terminal.line(f"resuming from step {event.step} of {event.total}")
        elif isinstance(event, SampleMade):
            self.terminal.line(f"sample after step {event.step}: {event.frames_path}")
        elif isinstance(event, StepDone):
            self._step(event)

    def _step(self, event: StepDone) -> None:
        self.seconds.add(event.seconds)
        for name, loss in event.losses.items():
            self.averages.setdefault(name, Average()).add(loss)
        line = self._line(event)
        done, total = event.step, event.total
        if self.terminal.live:
            self.terminal.show(f"{bar(done, total)} {line}")
        elif done == total or done * TENTHS // total > (done - 1) * TENTHS // total:
            self.terminal.line(line)

    def _line(self, event: StepDone) -> str:
        left = self.seconds.value * (event.total - event.step)
        return "  ".join(
            [
                f"step {event.step}/{event.total}",
                losses_shown({name: average.value for name, average in self.averages.items()}),
                f"{self.seconds.value:.2f} s/step",
                f"{clock(left)} left",
                f"{event.memory_bytes / 2**30:.1f} GiB",
            ]
        )


class Average:
    """An exponential moving average that begins with the first value."""

    def __init__(self) -> None:
        self.total = self.weight = 0.0

    def add(self, value: float) -> None:
        self.total = DECAY * self.total + value
        self.weight = DECAY * self.weight + 1

    @property
    def value(self) -> float:
        return self.total / self.weight


def losses_shown(losses: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {loss:.4f}" for name, loss in losses.items())


def clock(seconds: float) -> str:
    """Minutes and seconds, and hours where there are some: "2:05", "1:00:00"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
