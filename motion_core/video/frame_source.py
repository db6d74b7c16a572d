"""A sequence of frames that can be read in part: `FrameSource`, whatever it comes from."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Protocol

from torch import Tensor

# Image folders have no rate of their own; 8 frames a second is the rate of the papers' models.
DEFAULT_FPS = 8.0

OnProgress = Callable[[float], None]
"""Told how much is done, from 0 to 1; it may raise an exception to stop the reading."""


class Read(Protocol):
    """Yields the frames at ascending indices (the same one twice if asked twice) as (3, H, W)
    float32 in [-1, 1]; tells how far it is while it works, also through frames that it skips.
    """

    def __call__(
        self, indices: Sequence[int], on_progress: OnProgress = ...
    ) -> Iterator[Tensor]: ...


@dataclass(frozen=True, kw_only=True)
class FrameSource:
    """name: for messages. times: seconds of each frame since the first one, ascending. size:
    (height, width) of the frames, known before they are read; None where it is not.
    """

    name: str
    times: Sequence[float]
    read: Read
    size: tuple[int, int] | None = None

    @property
    def interval(self) -> float:
        """Seconds from one frame to the next: the mean of the steps within half of their median, or
        of all of them where none is.

        For a constant rate that is the exact rate, also where a container rounds its times (33, 67,
        100 ms); for a variable one it is the usual step, unmoved by pauses. Where two steps take
        turns (20 and 100 ms) the median lies between them, and so does the mean.
        """
        if len(self.times) < 2:
            return 1 / DEFAULT_FPS
        steps = [after - before for before, after in zip(self.times, self.times[1:], strict=False)]
        middle = median(steps)
        return fmean([step for step in steps if abs(step - middle) <= middle / 2] or steps)

    def nearest(self, time: float) -> int:
        """Index of the frame whose time is nearest, the earlier one of two equally near."""
        after = bisect_left(self.times, time)
        if after == 0:
            return 0
        if after == len(self.times):
            return after - 1
        nearer = self.times[after] - time < time - self.times[after - 1] - 1e-6
        return after if nearer else after - 1


def ignore(done: float) -> None:
    """An `OnProgress` for whom nothing is to be shown."""


def share(on_progress: OnProgress, index: int, count: int) -> OnProgress:
    """What one of `count` pieces of work of the same length tells of itself, in terms of all."""
    return lambda done: on_progress((index + done) / count)
