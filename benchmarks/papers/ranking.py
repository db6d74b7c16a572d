"""Methods in the order of their scores, with how far the order would move with other prompts.

In: rows that were sampled with the same prompts. Out: each row's rank, 1 the best, and its 95 %
interval over resamples of prompts and trainings, drawn alike for all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .intervals import SHARE, resampled_means
from .results import RowResult


class Rank(NamedTuple):
    """rank: of the means; rows that tie share ranks. low, high: of its interval."""

    rank: float
    low: float
    high: float


def ranks(rows: Sequence[RowResult], score: str, *, lower_is_better: bool = False) -> list[Rank]:
    """The rows' ranks, in the order given, on the prompts and trainings that all of them have."""
    prompts = [p for p in rows[0].clips() if all(p in row.clips() for row in rows)]
    seeds = [one.seed for one in rows[0].trainings]
    seeds = [s for s in seeds if all(s in {t.seed for t in row.trainings} for row in rows)]
    sign = -1.0 if lower_is_better else 1.0
    cells = [sign * row.cells(score, prompts, seeds) for row in rows]
    means = _ranked(np.array([[one.mean()] for one in cells]))[:, 0]
    resampled = _ranked(np.array([resampled_means(one) for one in cells]))
    tail = (1 - SHARE) / 2
    ends = np.quantile(resampled, [tail, 1 - tail], axis=1)
    return [
        Rank(*(float(value) for value in one)) for one in zip(means, ends[0], ends[1], strict=True)
    ]


def _ranked(values: np.ndarray) -> np.ndarray:
    """(rows, N) ranks of (rows, N) values within each column, the highest 1. Equal ones share their
    ranks' mean; so do those whose means differ by rounding alone.
    """
    gaps = values[None] - values[:, None]
    better, equal = (gaps > 1e-9).sum(axis=1), (np.abs(gaps) <= 1e-9).sum(axis=1)
    return 1 + better + (equal - 1) / 2
