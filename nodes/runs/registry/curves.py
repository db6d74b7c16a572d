"""The loss curves of a run, kept whole and handed out thinned.

A point is [step, value], or, where a page would get too many of them, a bucket of neighbours:
[last step, mean, lowest, highest, count]. Peaks stay visible and means stay exact.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

# The widest node's chart has 1,144 columns of pixels for them.
POINTS = 1200

Point = list[float]


class Curve:
    """Steps, rising, and a value for each."""

    def __init__(self) -> None:
        self.steps = array("q")
        self.values = array("d")

    def add(self, step: int, value: float) -> None:
        self.steps.append(step)
        self.values.append(value)

    def since(self, step: int, most: int = POINTS) -> list[Point]:
        """The points after `step`; buckets where there are more than `most`."""
        start = bisect_right(self.steps, step)
        return thinned(np.array(self.steps[start:]), np.array(self.values[start:]), most)


class Curves:
    """One curve for each loss term; a term may be missing in some steps."""

    def __init__(self) -> None:
        self.by_name: defaultdict[str, Curve] = defaultdict(Curve)

    def add(self, step: int, losses: Mapping[str, float | None]) -> None:
        """Values that are not known are left out."""
        for name, value in losses.items():
            if value is not None:
                self.by_name[name].add(step, value)

    def newest(self) -> int:
        """The last step that has a point, 0 without one."""
        return max((curve.steps[-1] for curve in self.by_name.values()), default=0)

    def since(self, step: int, most: int = POINTS) -> dict[str, list[Point]]:
        """By name, the points after `step`; see `Curve.since`."""
        return {name: curve.since(step, most) for name, curve in self.by_name.items()}


def thinned(steps: np.ndarray, values: np.ndarray, most: int) -> list[Point]:
    """All points if they are at most `most`, else `most` buckets of nearly equal counts."""
    if len(steps) <= most:
        return [[int(step), short(value)] for step, value in zip(steps, values, strict=True)]
    edges = np.linspace(0, len(steps), most + 1).astype(np.int64)
    counts = np.diff(edges)
    columns = (
        np.add.reduceat(values, edges[:-1]) / counts,
        np.minimum.reduceat(values, edges[:-1]),
        np.maximum.reduceat(values, edges[:-1]),
    )
    return [
        [int(step), short(mean), short(low), short(high), int(count)]
        for step, mean, low, high, count in zip(steps[edges[1:] - 1], *columns, counts, strict=True)
    ]


def short(value: float) -> float:
    """Six significant digits, which no chart can tell from all of them."""
    return float(f"{value:.6g}")
