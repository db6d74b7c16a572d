"""Means with cluster bootstrap intervals: how far a figure would move with other prompts and, where
there are several, with other trainings.

In: one value a training and prompt, the mean of that prompt's clips. Out: an `Estimate`. Clips of
one prompt resemble each other, so prompts are resampled, never clips: 95 % percentile intervals
(Efron and Tibshirani, "An Introduction to the Bootstrap", ch. 13). All trainings meet the same
prompts, so trainings and prompts are resampled independently of each other (Owen, "The pigeonhole
bootstrap", 2007). As a bootstrap of few is too sure of itself, an interval is never narrower than
Student's t makes it; tests/benchmarks/papers/test_coverage.py has how often it is right. With a
single training, an interval says nothing of how another would come out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .student import quantile, upper_tail

RESAMPLES = 20_000
"""So many that p can be small enough to outlive the correction for some 200 statements."""
SEED = 0
SHARE = 0.95
Z = 1.959964
"""The normal distribution's quantile of that share."""

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A standard error, to one side, and its degrees of freedom."""

    error: float
    freedom: int

    def beyond(self, distance: float) -> float:
        """The chance of a mean this far above the truth or further, by Student's t."""
        if self.error > 0:
            return upper_tail(distance / self.error, self.freedom)
        return 0.0 if distance > 0 else 1.0

    @property
    def reach(self) -> float:
        """How far the interval goes to this side; 0 where there is nothing to tell it from."""
        if math.isinf(self.error):
            return 0.0
        return self.error * quantile((1 - SHARE) / 2, self.freedom)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean of prompts. low, high: its 95 % interval. resampled: the means of the resamples.
    below, above: how far the truth may lie on either side.
    """

    mean: float
    low: float
    high: float
    resampled: Array
    below: Spread
    above: Spread

    def chance_not_above(self, bound: float) -> float:
        """One-sided p of "the truth is at most `bound`". The larger of two: the share of resampled
        means at or below it, and Student's t, as few prompts make the bootstrap too sure of itself.
        """
        share = _share(self.resampled <= bound)
        return max(share, self.below.beyond(self.mean - bound))

    def chance_not_below(self, bound: float) -> float:
        """The same of "the truth is at least `bound`"."""
        share = _share(self.resampled >= bound)
        return max(share, self.above.beyond(bound - self.mean))


def estimate(cells: Array, lowest: float = -math.inf, highest: float = math.inf) -> Estimate:
    """cells: (trainings, prompts), at least one of each. lowest, highest: that a mean can be. The
    same cells give the same estimate.
    """
    return _estimate(cells, 0.0, 0.0, lowest, highest)


def share_estimate(cells: Array) -> Estimate:
    """The same for shares of clips, in [0, 1]: at least as wide as Wilson's interval of as many
    independent prompts, so that a share of 1.00 in a few prompts doesn't look certain.
    """
    mean = float(cells.mean())
    low, high = wilson(mean, cells.shape[1])
    return _estimate(cells, mean - low, high - mean, 0.0, 1.0)


def share_difference(ours: Array, theirs: Array) -> Estimate:
    """ours − theirs of two shares, cell by cell; at least as wide as Newcombe's interval of two
    independent shares (Statistics in Medicine 17, 1998, p. 873, method 10).
    """
    (p1, p2), count = (float(ours.mean()), float(theirs.mean())), ours.shape[1]
    (low1, high1), (low2, high2) = wilson(p1, count), wilson(p2, count)
    below = math.hypot(p1 - low1, high2 - p2)
    above = math.hypot(high1 - p1, p2 - low2)
    return _estimate(ours - theirs, below, above, -1.0, 1.0)


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % limits of a share of `count` independent cases (Wilson, 1927)."""
    weight = Z * Z / count
    centre = share + weight / 2
    half = Z * math.sqrt(max(share * (1 - share), 0.0) / count + weight / (4 * count))
    low, high = (centre - half) / (1 + weight), (centre + half) / (1 + weight)
    return min(max(low, 0.0), share), max(min(high, 1.0), share)


def _estimate(cells: Array, below: float, above: float, lowest: float, highest: float) -> Estimate:
    """below, above: the least reach of the interval on either side."""
    mean, resampled = float(cells.mean()), resampled_means(cells)
    error, freedom = standard_error(cells)
    down = Spread(error=max(error, below / Z), freedom=freedom)
    up = Spread(error=max(error, above / Z), freedom=freedom)
    low, high = percentiles(resampled)
    return Estimate(
        mean=mean,
        low=max(min(low, mean - down.reach), lowest),
        high=min(max(high, mean + up.reach), highest),
        resampled=resampled,
        below=down,
        above=up,
    )


def percentiles(resampled: Array) -> tuple[float, float]:
    """Between them lie 95 % of the resampled means."""
    tail = (1 - SHARE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return float(low), float(high)


def standard_error(cells: Array) -> tuple[float, int]:
    """Of the mean, and its degrees of freedom.

    The variance is that of the prompts' means plus that of the trainings', each divided by their
    number; what is peculiar to a cell counts in both, on the safe side. Degrees of freedom as by
    Satterthwaite (1946), rounded down. A single prompt tells nothing of others: infinite.
    """
    if cells.shape[1] == 1:
        return math.inf, 1
    parts = [(_variance(cells.mean(axis=axis)), cells.shape[1 - axis] - 1) for axis in (0, 1)]
    total = sum(variance for variance, _ in parts)
    if total == 0.0:
        return 0.0, cells.shape[1] - 1
    spent = sum(variance**2 / freedom for variance, freedom in parts if freedom)
    return math.sqrt(total), max(int(total**2 / spent + 1e-9), 1)


def _variance(means: Array) -> float:
    """Of the mean of these means; 0 of one alone."""
    return float(means.var(ddof=1) / len(means)) if len(means) > 1 else 0.0


def resampled_means(cells: Array) -> Array:
    """(RESAMPLES,) means of trainings and prompts drawn with replacement."""
    trainings, prompts = cells.shape
    by_prompt = _counts(prompts, SEED) @ cells.T / prompts
    return (by_prompt * _counts(trainings, SEED + 1)).sum(axis=1) / trainings


@lru_cache(maxsize=32)
def _counts(count: int, seed: int) -> Array:
    """(RESAMPLES, count): how often each of `count` is drawn in each resample."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)


def _share(hits: Array) -> float:
    """The share of resamples, one more counted, as the data are a sample themselves."""
    return (int(hits.sum()) + 1) / (len(hits) + 1)
