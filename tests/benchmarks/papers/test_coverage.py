"""How often intervals hold the truth, and verdicts find what is not there: simulated, with values
of every training and prompt drawn around a truth of 0.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.papers.intervals import Estimate, estimate, share_difference

TIMES = 400


def estimates(trainings: int, prompts: int, of_training: float) -> Iterator[Estimate]:
    """of_training: the standard deviation between trainings; that of prompts is 1, and that of what
    is peculiar to a cell too.
    """
    rng = np.random.default_rng(0)
    for _ in range(TIMES):
        yield estimate(
            rng.normal(0, of_training, (trainings, 1))
            + rng.normal(0, 1, (1, prompts))
            + rng.normal(0, 1, (trainings, prompts))
        )


def p_of(got: Estimate) -> float:
    return 2 * min(got.chance_not_above(0.0), got.chance_not_below(0.0))


@pytest.mark.parametrize(
    ("trainings", "prompts", "of_training", "least"),
    [(1, 8, 0.0, 0.93), (1, 72, 0.0, 0.93), (3, 72, 0.1, 0.93), (3, 72, 1.0, 0.89)],
)
def test_intervals_hold_the_truth(
    trainings: int, prompts: int, of_training: float, least: float
) -> None:
    """95 % of them should; a chance of 0.95 gives less than 0.93 of 400 in one of 25 seeds. Three
    trainings that differ as much as prompts do are too few to know it: the page says so.
    """
    found = list(estimates(trainings, prompts, of_training))
    held = np.mean([got.low <= 0 <= got.high for got in found])
    assert held >= least
    assert np.mean([p_of(got) <= 0.05 for got in found]) == pytest.approx(1 - held, abs=0.005)


def test_two_shares_that_are_alike_are_seldom_told_apart() -> None:
    """Of 0.9 each, and half of the prompts the same in both."""
    rng, found = np.random.default_rng(0), 0
    for _ in range(TIMES):
        ours = rng.random((1, 72))
        theirs = np.where(rng.random((1, 72)) < 0.5, ours, rng.random((1, 72)))
        found += p_of(share_difference((ours < 0.9) * 1.0, (theirs < 0.9) * 1.0)) <= 0.05
    assert found / TIMES <= 0.05
