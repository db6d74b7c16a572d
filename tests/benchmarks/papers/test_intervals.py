"""Cluster bootstrap intervals, derived by hand from few prompts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.papers.intervals import (
    RESAMPLES,
    Z,
    estimate,
    percentiles,
    resampled_means,
    share_difference,
    share_estimate,
    standard_error,
    wilson,
)
from benchmarks.papers.student import quantile, upper_tail


def shares(values: np.ndarray) -> dict[float, float]:
    """How often each value comes."""
    found, counts = np.unique(values.round(9), return_counts=True)
    return {float(value): count / len(values) for value, count in zip(found, counts, strict=True)}


def test_prompts_are_resampled_and_not_clips() -> None:
    """Of two prompts with the means 0 and 1, two draws give 00, 01, 10, 11: a mean of 0, 1/2 and 1
    with the chances 1/4, 1/2, 1/4, however many clips each prompt has."""
    got = shares(resampled_means(np.array([[0.0, 1.0]])))
    assert got == pytest.approx({0.0: 0.25, 0.5: 0.5, 1.0: 0.25}, abs=0.02)
    assert percentiles(resampled_means(np.array([[0.0, 1.0]]))) == (0.0, 1.0)


def test_the_interval_is_that_of_the_resampled_mean() -> None:
    """Of 0, 0, 0, 1, four draws hold k ones with the binomial probabilities of n = 4, p = 1/4:
    P(0) = (3/4)^4 = 0.316, P(k ≤ 2) = 1 − 4·(1/4)³·(3/4) − (1/4)^4 = 0.949, P(k ≤ 3) = 0.996.

    So the 2.5 % quantile of the mean k/4 is 0, and the 97.5 % quantile 3/4.
    """
    assert percentiles(resampled_means(np.array([[0.0, 0.0, 0.0, 1.0]]))) == (0.0, 0.75)


def test_an_interval_is_no_narrower_than_students() -> None:
    """Means 1, 2, 3: 2 ± 4.303·√(1/3) = 2 ± 2.484, wider than any mean of the three; and cut where
    a mean cannot be."""
    got = estimate(np.array([[1.0, 2.0, 3.0]]))
    assert (got.low, got.high) == (pytest.approx(-0.484, abs=1e-3), pytest.approx(4.484, abs=1e-3))
    got = estimate(np.array([[1.0, 2.0, 3.0]]), 0.0, 4.0)
    assert (got.mean, got.low, got.high) == (2.0, 0.0, 4.0)


def test_an_interval_leaves_out_what_p_rejects() -> None:
    """Whichever of bootstrap and t decides: both say the same of a bound, at 5 % two-sided."""
    rng = np.random.default_rng(0)
    for shape in ((1, 5), (3, 20), (1, 72)):
        got = estimate(rng.exponential(size=shape))
        for bound in (got.low - 1e-3, got.low + 1e-3):
            assert (got.chance_not_above(bound) <= 0.025) is (bound < got.low)


def test_trainings_are_resampled_too() -> None:
    """Two trainings of two prompts: a cell is 1 where both are the second. Trainings and prompts
    give a second each with k/2, k as above, independently: the mean is the product, 0 with
    1 − (3/4)² = 7/16, 1/4 with 1/4, 1/2 with 2·(1/2·1/4) = 1/4, and 1 with 1/16."""
    got = shares(resampled_means(np.array([[0.0, 0.0], [0.0, 1.0]])))
    assert got == pytest.approx({0.0: 7 / 16, 0.25: 0.25, 0.5: 0.25, 1.0: 1 / 16}, abs=0.02)


def test_the_same_cells_give_the_same_interval_and_equal_ones_no_width() -> None:
    cells = np.array([[0.1, 0.7, 0.3], [0.9, 0.2, 0.4]])
    first, second = estimate(cells), estimate(cells)
    assert (first.low, first.high) == (second.low, second.high)
    same = estimate(np.full((2, 3), 0.5))
    assert (same.mean, same.low, same.high) == (0.5, 0.5, 0.5)
    one = estimate(np.array([[0.5]]))
    assert (one.mean, one.low, one.high) == (0.5, 0.5, 0.5)


def test_the_standard_error_of_one_training_is_the_usual_one() -> None:
    """Of the prompts' means 0, 1, 2 the variance is 1: √(1/3), with 3 − 1 degrees of freedom."""
    assert standard_error(np.array([[0.0, 1.0, 2.0]])) == (pytest.approx(math.sqrt(1 / 3)), 2)


def test_the_standard_error_adds_trainings_and_prompts() -> None:
    """Trainings' means 0 and 2: variance 2, of the mean 2/2 = 1. Prompts' means 0, 1, 2: 1/3. The
    error is √(4/3); Satterthwaite: (4/3)² / (1²/1 + (1/3)²/2) = 1.78/1.056 = 1.68, so 1."""
    cells = np.array([[-1.0, 0.0, 1.0], [1.0, 2.0, 3.0]])
    assert standard_error(cells) == (pytest.approx(math.sqrt(4 / 3)), 1)


def test_one_prompt_shows_nothing() -> None:
    """Its bootstrap has no width, but p stays a half."""
    got = estimate(np.array([[0.9]]))
    assert got.chance_not_above(0.0) == got.chance_not_below(2.0) == 0.5


def test_p_is_students_where_the_bootstrap_is_too_sure() -> None:
    """Means 1, 2, 3 of three prompts: no resample is at 0 or below, so that the bootstrap gives
    1/(resamples + 1); t = 2/√(1/3) = 3.464 with 2 degrees of freedom, P = 1/2 − t/(2·√(2 + t²)) =
    0.5 − 3.464/(2·√14) = 0.0371."""
    got = estimate(np.array([[1.0, 2.0, 3.0]]))
    assert got.chance_not_above(0.0) == pytest.approx(0.03709, abs=1e-5)
    assert got.chance_not_below(4.0) == pytest.approx(0.03709, abs=1e-5)
    assert got.chance_not_above(2.0) >= 0.5


def test_p_is_the_bootstraps_where_that_is_larger() -> None:
    """Between equal prompts there is no error, so Student's p is 0; one resample more counts."""
    got = estimate(np.full((1, 4), 0.5))
    assert got.chance_not_above(0.4) == 1 / (RESAMPLES + 1)
    assert got.chance_not_above(0.5) == 1.0


@pytest.mark.parametrize(
    ("t", "freedom", "tail"),
    [
        (12.706, 1, 0.025),
        (4.303, 2, 0.025),
        (2.571, 5, 0.025),
        (2.365, 7, 0.025),
        (3.707, 6, 0.005),
    ],
)
def test_students_tails_are_those_of_the_tables(t: float, freedom: int, tail: float) -> None:
    assert upper_tail(t, freedom) == pytest.approx(tail, rel=2e-3)
    assert upper_tail(-t, freedom) == pytest.approx(1 - tail, rel=2e-3)
    assert upper_tail(0.0, freedom) == 0.5
    assert quantile(tail, freedom) == pytest.approx(t, rel=1e-3)


def test_wilsons_limits() -> None:
    """All of 8: 8/(8 + z²) = 8/11.841 = 0.676 at the lower end. Half of 10: 0.5 ± 0.5·√(z²/(10 +
    z²)) = 0.5 ± 0.2634."""
    assert wilson(1.0, 8) == (pytest.approx(8 / (8 + Z * Z)), 1.0)
    assert wilson(0.0, 8) == (0.0, pytest.approx(1 - 8 / (8 + Z * Z)))
    half = 0.5 * math.sqrt(Z * Z / (10 + Z * Z))
    assert wilson(0.5, 10) == (pytest.approx(0.5 - half), pytest.approx(0.5 + half))


def test_a_flawless_share_is_not_certain() -> None:
    """The bootstrap alone would say [1, 1]. Wilson's error is 0.3244/1.96, t of 7 is 2.365."""
    got = share_estimate(np.ones((3, 8)))
    assert (got.mean, got.high) == (1.0, 1.0)
    assert got.low == pytest.approx(1 - 0.3244 * 2.3646 / 1.96, abs=1e-4)


def test_the_difference_of_two_flawless_shares_is_newcombes() -> None:
    """Each may be 1 − 8/(8 + z²) = 0.324 lower, but not higher: ± 0.324, and wider by t/z. With 72
    prompts ± 0.051, so that t = 0.1/(0.051/z) = 3.87 against a loss of 0.1."""
    few, many = np.ones((1, 8)), np.ones((1, 72))
    got = share_difference(few, few)
    assert got.high == -got.low == pytest.approx(0.3244 * 2.3646 / 1.96, abs=1e-4)
    got = share_difference(many, many)
    assert got.chance_not_above(-0.1) == pytest.approx(upper_tail(3.8696, 71), rel=1e-3)


def test_pairs_take_away_what_prompts_have_in_common() -> None:
    """Ours is theirs plus 1/8 with every prompt, so that the difference is sure however much the
    prompts differ; in eighths and halves the arithmetic is exact."""
    theirs = np.array([[0.0, 0.5, 1.0, 0.25]])
    ours = theirs + 0.125
    got = estimate(ours - theirs)
    assert (got.mean, got.low, got.high) == (0.125, 0.125, 0.125)
    assert estimate(ours).low < estimate(ours).high
