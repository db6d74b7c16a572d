"""Curves: all points, thinned ones, those since a step, and forgetting."""

from __future__ import annotations

import pytest
from motion_adapters.nodes.runs.registry.curves import POINTS, Curves, short


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


def test_a_hundred_thousand_steps_become_what_a_chart_can_show() -> None:
    points = filled(100_000).since(0)["loss"]
    assert len(points) == POINTS
    assert points[-1][0] == 100_000
    assert sum(point[4] for point in points) == 100_000


def test_a_term_may_be_missing_in_a_step() -> None:
    curves = Curves()
    curves.add(1, {"spatial": 1.0})
    curves.add(2, {"spatial": None, "temporal": 2.0})
    assert curves.since(0) == {"spatial": [[1, 1.0]], "temporal": [[2, 2.0]]}


def test_a_spike_in_a_hundred_thousand_steps_stays() -> None:
    """One step in a bucket of 83: its height is the bucket's highest, not a share of its mean."""
    curves = Curves()
    for step in range(1, 100_001):
        curves.add(step, {"loss": 50.0 if step == 70_000 else 1.0})
    points = curves.since(0)["loss"]
    assert max(point[3] for point in points) == 50.0
    assert min(point[2] for point in points) == 1.0


def test_six_digits() -> None:
    assert short(0.123456789) == pytest.approx(0.123457, abs=1e-12)
