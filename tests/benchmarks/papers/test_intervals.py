"""Bootstrap intervals against the binomial distribution, by hand."""

import pytest

from benchmarks.papers.intervals import bootstrap, paired_difference


def test_the_interval_is_that_of_the_resampled_mean() -> None:
    """Of 0, 0, 0, 1, four draws hold k ones with the binomial probabilities of n = 4, p = 1/4:
    P(0) = (3/4)^4 = 0.316, P(k ≤ 2) = 1 − 4·(1/4)³·(3/4) − (1/4)^4 = 0.949, P(k ≤ 3) = 0.996.

    So the 2.5 % quantile of the mean k/4 is 0, and the 97.5 % quantile 3/4; the mean is 1/4.
    """
    assert bootstrap([0, 0, 0, 1]) == (0.25, 0.0, 0.75)
    assert bootstrap([1, 0, 0, 0]).mean == 0.25


def test_the_same_values_give_the_same_interval_and_equal_ones_no_width() -> None:
    values = [0.1, 0.7, 0.3, 0.9, 0.2]
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5)
    assert bootstrap([0.5]) == (0.5, 0.5, 0.5)


def test_pairs_take_away_what_clips_have_in_common() -> None:
    """Ours is theirs plus 1/8 in every clip, so that the difference is sure however much the clips
    differ; in eighths and halves the arithmetic is exact."""
    theirs = [0.0, 0.5, 1.0, 0.25]
    ours = [value + 0.125 for value in theirs]
    assert paired_difference(ours, theirs) == (0.125, 0.125, 0.125)
    assert bootstrap(ours).low < bootstrap(ours).high
    with pytest.raises(ValueError, match="argument"):
        paired_difference([1.0], [1.0, 2.0])
