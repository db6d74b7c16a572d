"""The last figures of a run's steps, and those over all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ....motion_core.events import StepDone
from .curves import short

DECAY = 0.9


class Stats:
    """Seconds a step are an average over the last ten or so, as single ones jump."""

    def __init__(self) -> None:
        self.losses: dict[str, float] = {}
        self.learning_rate: float | None = None
        self.grad_norm: float | None = None
        self.memory = self.memory_peak = self.skipped = 0
        self.seconds = 0.0  # in all steps
        self._seconds = self._weight = 0.0

    def add(self, done: StepDone) -> None:
        """A step whose gradient is infinite was skipped by the gradient scaler of fp16."""
        norm = done.grad_norm if math.isfinite(done.grad_norm) else None
        now, peak = done.memory_now_bytes, done.memory_bytes
        self._add(done.losses, done.learning_rate, norm, done.seconds, now, peak)

    def add_row(self, row: Mapping[str, Any]) -> None:
        """One row of metrics.jsonl."""
        self._add(
            row["losses"],
            row["learning_rate"],
            row["grad_norm"],
            row["seconds"],
            row.get("memory_now_bytes", 0),
            row["memory_bytes"],
        )

    def _add(
        self,
        losses: Mapping[str, float | None],
        rate: float,
        norm: float | None,
        seconds: float,
        memory: int,
        memory_peak: int,
    ) -> None:
        """memory: 0 where it is not known, as older versions noted the peak alone."""
        for name, value in losses.items():
            if value is not None:
                self.losses[name] = value
        self.learning_rate, self.grad_norm = rate, norm
        self.skipped += norm is None
        self.memory = memory or memory_peak
        if memory_peak > self.memory_peak:
            self.memory_peak = memory_peak
        self.seconds += seconds
        self._seconds = DECAY * self._seconds + seconds
        self._weight = DECAY * self._weight + 1

    def shown(self) -> dict[str, Any]:
        return {
            "losses": {name: short(value) for name, value in self.losses.items()},
            "learning_rate": self.learning_rate,
            "grad_norm": None if self.grad_norm is None else short(self.grad_norm),
            "skipped": self.skipped,
            "seconds_per_step": short(self._seconds / self._weight) if self._weight else None,
            "memory": self.memory,
            "memory_peak": self.memory_peak,
        }
