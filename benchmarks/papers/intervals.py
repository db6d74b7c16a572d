"""Means with bootstrap intervals: how far a figure would move with other prompts and seeds.

In: one value a clip. Out: the mean and its 95 % percentile interval (Efron and Tibshirani, "An
Introduction to the Bootstrap", ch. 13). The training is the same in all clips of a row, so an
interval says nothing of how another training would come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000
SEED = 0
SHARE = 0.95


class Interval(NamedTuple):
    """low, high: between them lie 95 % of the resampled means."""

    mean: float
    low: float
    high: float


def bootstrap(values: Sequence[float]) -> Interval:
    """The mean of at least one value, and its interval; the same values give the same interval."""
    sample = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(SEED).integers(len(sample), size=(RESAMPLES, len(sample)))
    tail = (1 - SHARE) / 2
    low, high = np.quantile(sample[drawn].mean(axis=1), [tail, 1 - tail])
    return Interval(float(sample.mean()), float(low), float(high))


def paired_difference(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """ours − theirs, clip by clip: what both have from a prompt and its noise falls away."""
    return bootstrap([a - b for a, b in zip(ours, theirs, strict=True)])
