"""Curves: all points, thinned ones, those since a step, and forgetting."""

from __future__ import annotations

import pytest

from motion_core.run_registry.curves import Curves, curves_of, short


def filled(steps: int) -> Curves:
    curves = Curves()
    for step in range(1, steps + 1):
        curves.add(step, {"loss": float(step)})
    return curves


def test_few_points_are_exact() -> None:
    assert filled(3).since(0) == {"loss": [[1, 1.0], [2, 2.0], [3, 3.0]]}


def test_only_later_points() -> None:
    assert filled(5).since(3) == {"loss": [[4, 4.0], [5, 5.0]]}
    assert filled(5).since(5) == {"loss": []}


def test_many_points_become_buckets_that_lose_no_value() -> None:
    """10 values in 3 buckets of 3, 3 and 4: 1..3, 4..6, 7..10; the mean of the last is 34 / 4."""
    assert filled(10).since(0, most=3)["loss"] == [
        [3, 2.0, 1.0, 3.0, 3],
        [6, 5.0, 4.0, 6.0, 3],
        [10, 8.5, 7.0, 10.0, 4],
    ]


def test_a_hundred_thousand_steps_become_two_thousand_points() -> None:
    points = filled(100_000).since(0)["loss"]
    assert len(points) == 2000
    assert points[-1][0] == 100_000
    assert sum(point[4] for point in points) == 100_000


def test_what_came_after_a_checkpoint_is_forgotten() -> None:
    curves = filled(5)
    curves.forget_after(3)
    curves.add(4, {"loss": 40.0})
    assert curves.since(2) == {"loss": [[3, 3.0], [4, 40.0]]}


def test_a_term_may_be_missing_in_a_step() -> None:
    rows = [
        {"step": 1, "losses": {"spatial": 1.0}},
        {"step": 2, "losses": {"spatial": None, "temporal": 2.0}},
    ]
    assert curves_of(rows).since(0) == {"spatial": [[1, 1.0]], "temporal": [[2, 2.0]]}


def test_six_digits() -> None:
    assert short(0.123456789) == pytest.approx(0.123457, abs=1e-12)
