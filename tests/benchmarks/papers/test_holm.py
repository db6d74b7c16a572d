"""Holm's correction by hand."""

from __future__ import annotations

import pytest

from benchmarks.papers.holm import holm


def test_four_p_values_by_hand() -> None:
    """In order 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1 are 0.02, 0.03, 0.06 and 0.04, which gets
    no smaller than 0.06 before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_none_is_larger_than_one_and_equal_ones_stay_equal() -> None:
    """0.4, 0.5 and 0.5 times 3, 2, 1: 1.2, so 1, and none after it is smaller."""
    assert holm([0.5, 0.4, 0.5]) == [1.0, 1.0, 1.0]
    assert holm([0.02, 0.02]) == pytest.approx([0.04, 0.04])
    assert holm([]) == []
