"""Verdicts of hand-made rows: four clips each, so that every interval can be told by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.papers.results import APPEARANCE, FIDELITY, LEAKAGE, ClipRecord, RowResult
from benchmarks.papers.verdicts import (
    All,
    Either,
    Exceeds,
    Finding,
    Higher,
    Lower,
    NotLower,
    Reaches,
    Statement,
    TrainedWithin,
    judge,
)

SEEN = {"colour": "blue", "shape": "square", "background": "white", "look": "solid"}


def row(
    name: str,
    fidelity: Sequence[float],
    appearance: Sequence[float] = (1, 1, 1, 1),
    leakage: Sequence[float] = (0, 0, 0, 0),
    train_seconds: float | None = 90.0,
) -> RowResult:
    clips = [
        ClipRecord(
            prompt=f"prompt {index}",
            seed=1,
            motion_fidelity=scores[0],
            appearance_accuracy=scores[1],
            leakage=scores[2],
            seen=SEEN,
        )
        for index, scores in enumerate(zip(fidelity, appearance, leakage, strict=True))
    ]
    return RowResult(
        name=name,
        settings={},
        clips=clips,
        train_seconds=train_seconds,
        sample_seconds=4.0,
        parameters={},
    )


def verdict(statement: Statement, *rows: RowResult) -> str:
    return judge(statement, {one.name: one for one in rows}).verdict


HIGH = row("high", [0.75, 0.875, 1.0, 0.875])  # mean 0.875
LOW = row("low", [0.5, 0.625, 0.75, 0.625])  # HIGH − 0.25, clip by clip; mean 0.625
MIXED = row("mixed", [1.0, 0.625, 1.25, 0.625])  # HIGH plus 0.25, −0.25, 0.25, −0.25


def test_requirements_are_judged_by_the_mean() -> None:
    """0.875 reaches 0.875 and not 0.876; it exceeds 0.625 by 0.25 exactly."""
    assert verdict(Reaches("high", FIDELITY, 0.875), HIGH) == "holds"
    assert verdict(Reaches("high", FIDELITY, 0.876), HIGH) == "does not hold"
    assert verdict(Exceeds("high", "low", FIDELITY, 0.25), HIGH, LOW) == "holds"
    assert verdict(Exceeds("high", "low", FIDELITY, 0.26), HIGH, LOW) == "does not hold"
    assert verdict(Exceeds("low", "high", FIDELITY, -0.25), HIGH, LOW) == "holds"
    assert verdict(Exceeds("low", "high", FIDELITY, -0.24), HIGH, LOW) == "does not hold"
    assert verdict(TrainedWithin("high", 90), HIGH) == "holds"
    assert verdict(TrainedWithin("high", 89), HIGH) == "does not hold"


def test_comparisons_are_judged_by_the_interval() -> None:
    """high − low is 0.25 in every clip: the interval is [0.25, 0.25]. mixed − high is ±0.25, twice
    each: the mean of four draws is −0.25 with probability 1/16 > 2.5 %, so the interval is
    [−0.25, 0.25]. Equal rows differ by [0, 0]: neither is higher."""
    assert verdict(Higher("high", "low", FIDELITY), HIGH, LOW) == "holds"
    assert verdict(Higher("low", "high", FIDELITY), HIGH, LOW) == "does not hold"
    assert verdict(Lower("low", "high", FIDELITY), HIGH, LOW) == "holds"
    assert verdict(Lower("high", "low", FIDELITY), HIGH, LOW) == "does not hold"
    assert verdict(Higher("mixed", "high", FIDELITY), MIXED, HIGH) == "not shown"
    assert verdict(Lower("mixed", "high", FIDELITY), MIXED, HIGH) == "not shown"
    assert verdict(Higher("high", "low", APPEARANCE), HIGH, LOW) == "not shown"


def test_not_lower_allows_a_margin() -> None:
    """low − high is [−0.25, −0.25]; mixed − high is [−0.25, 0.25]."""
    assert verdict(NotLower("low", "high", FIDELITY, 0.25), HIGH, LOW) == "holds"
    assert verdict(NotLower("low", "high", FIDELITY, 0.2), HIGH, LOW) == "does not hold"
    assert verdict(NotLower("mixed", "high", FIDELITY, 0.25), HIGH, MIXED) == "holds"
    assert verdict(NotLower("mixed", "high", FIDELITY, 0.2), HIGH, MIXED) == "not shown"


YES = Higher("high", "low", FIDELITY)
NO = Higher("low", "high", FIDELITY)
OPEN = Higher("high", "low", LEAKAGE)


@pytest.mark.parametrize(
    ("parts", "all_of_them", "one_of_them"),
    [
        ((YES, YES), "holds", "holds"),
        ((YES, NO), "does not hold", "holds"),
        ((YES, OPEN), "not shown", "holds"),
        ((NO, OPEN), "does not hold", "not shown"),
        ((NO, NO), "does not hold", "does not hold"),
    ],
)
def test_parts_together(parts: tuple[Statement, ...], all_of_them: str, one_of_them: str) -> None:
    assert verdict(All(parts), HIGH, LOW) == all_of_them
    assert verdict(Either(parts), HIGH, LOW) == one_of_them


def test_a_finding_shows_its_figures() -> None:
    results = {"a/zeroscope/zigzag": HIGH, "b/zeroscope/zigzag": LOW}
    found = judge(Higher("a/zeroscope/zigzag", "b/zeroscope/zigzag", FIDELITY), results)
    words = "motion fidelity 0.88 against 0.62 of b: +0.25 [+0.25, +0.25]"
    assert found == Finding("holds", words)


def test_rows_that_are_missing_are_named() -> None:
    found = judge(All((YES, TrainedWithin("other", 1.0))), {"high": HIGH})
    assert found == Finding("not measured", "missing: low, other")
