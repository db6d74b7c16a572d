"""Verdicts of hand-made rows, whose intervals can be told by hand."""

from __future__ import annotations

import pytest

from benchmarks.papers.intervals import RESAMPLES
from benchmarks.papers.results import APPEARANCE, FIDELITY, LEAKAGE, RowResult
from benchmarks.papers.verdicts import (
    All,
    Evidence,
    Higher,
    LeaksMore,
    Lower,
    NotLower,
    Reaches,
    Statement,
    missing,
    verdict_of,
)
from tests.benchmarks.papers.hand_made import HIGH, LOW, MIXED, row, training

LEAST = 1 / (RESAMPLES + 1)


def weigh(statement: Statement, *rows: RowResult) -> Evidence:
    return statement.weigh({one.name: one for one in rows})


def verdict(statement: Statement, *rows: RowResult) -> str:
    evidence = weigh(statement, *rows)
    return verdict_of(evidence, evidence.p)


def test_a_requirement_is_judged_by_the_intervals_lower_end() -> None:
    """high: the mean is 0.875, the prompts' standard deviation 0.0884·√(24/23), so the error 0.0184
    and the lower end 0.84: it reaches 0.83, its mean alone does not reach 0.86, nor does its upper
    end of 0.91 reach 0.93."""
    assert verdict(Reaches("high", FIDELITY, 0.83), HIGH) == "holds"
    assert verdict(Reaches("high", FIDELITY, 0.86), HIGH) == "not shown"
    assert verdict(Reaches("high", FIDELITY, 0.93), HIGH) == "does not hold"


def test_comparisons_are_judged_by_the_paired_difference() -> None:
    """high − low is 0.25 with every prompt: the least p there is, either way. mixed − high is
    ±0.25, as often each way: p is 1. Equal rows: neither is higher."""
    assert weigh(Higher("high", "low", FIDELITY), HIGH, LOW).p == pytest.approx(2 * LEAST)
    assert verdict(Higher("high", "low", FIDELITY), HIGH, LOW) == "holds"
    assert verdict(Higher("low", "high", FIDELITY), HIGH, LOW) == "does not hold"
    assert verdict(Lower("low", "high", FIDELITY), HIGH, LOW) == "holds"
    assert verdict(Lower("high", "low", FIDELITY), HIGH, LOW) == "does not hold"
    assert weigh(Higher("mixed", "high", FIDELITY), MIXED, HIGH).p == 1.0
    assert verdict(Higher("high", "low", APPEARANCE), HIGH, LOW) == "not shown"


def test_a_difference_may_have_to_be_of_some_size() -> None:
    """0.25 with every prompt is more than 0.24, and not more than 0.26."""
    assert verdict(Higher("high", "low", FIDELITY, 0.24), HIGH, LOW) == "holds"
    assert verdict(Higher("high", "low", FIDELITY, 0.26), HIGH, LOW) == "does not hold"
    assert verdict(NotLower("low", "high", FIDELITY, 0.26), HIGH, LOW) == "holds"
    assert verdict(NotLower("low", "high", FIDELITY, 0.24), HIGH, LOW) == "does not hold"


WITHOUT = row("without", training([0.9] * 24, [0] * 24, [1] * 24))


def test_a_leak_is_seen_in_either_score_and_the_choice_is_paid_for() -> None:
    """high looks right in every clip, without in none; the least p of two is doubled."""
    evidence = weigh(LeaksMore("without", "high"), HIGH, WITHOUT)
    assert evidence.against == pytest.approx(2 * LEAST)
    assert verdict(LeaksMore("without", "high"), HIGH, WITHOUT) == "holds"
    assert verdict(LeaksMore("high", "without"), HIGH, WITHOUT) == "does not hold"
    assert verdict(LeaksMore("high", "low"), HIGH, LOW) == "not shown"


YES = Higher("high", "low", FIDELITY)
NO = Higher("low", "high", FIDELITY)
OPEN = Higher("high", "low", LEAKAGE)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((YES, YES), "holds"),
        ((YES, NO), "does not hold"),
        ((YES, OPEN), "not shown"),
        ((NO, OPEN), "does not hold"),
        ((NO, NO), "does not hold"),
    ],
)
def test_all_parts_have_to_hold(parts: tuple[Statement, ...], expected: str) -> None:
    assert verdict(All(parts), HIGH, LOW) == expected


def test_all_is_as_improbable_as_its_weakest_part() -> None:
    """And what speaks against it is chosen among its two parts."""
    both = weigh(All((YES, NO)), HIGH, LOW)
    assert both.against == pytest.approx(1.0)
    assert both.opposite == pytest.approx(2 * LEAST)


def test_a_verdict_is_of_the_corrected_p() -> None:
    evidence = Evidence(0.001, 0.9, "")
    assert verdict_of(evidence, 0.05) == "holds"
    assert verdict_of(evidence, 0.051) == "not shown"
    assert verdict_of(Evidence(0.9, 0.001, ""), 0.05) == "does not hold"


def test_words_and_figures_name_every_row() -> None:
    names = {"a/zeroscope/zigzag": HIGH, "b/zeroscope/zigzag": LOW}
    statement = Higher("a/zeroscope/zigzag", "b/zeroscope/zigzag", FIDELITY, 0.1)
    assert statement.words() == "motion fidelity of a is higher than that of b by more than 0.10"
    assert statement.weigh(names).sentence == (
        "motion fidelity of a 0.88 against 0.62 of b: +0.25 [+0.25, +0.25]"
    )
    assert LeaksMore("a/x/y", "b/x/y").words() == (
        "a has a lower appearance accuracy or more leakage than b"
    )
    assert All((Reaches("a/x/y", FIDELITY, 0.85), Lower("a/x/y", "b/x/y", LEAKAGE))).words() == (
        "motion fidelity of a is at least 0.85, and leakage of a is lower than that of b"
    )


def test_rows_that_are_missing_are_named() -> None:
    assert missing(All((YES, Reaches("other", FIDELITY, 0.5))), {"high": HIGH}) == ["low", "other"]


def test_rows_with_other_prompts_cannot_be_compared() -> None:
    odd = row("low", training([0.5] * 24, prompts=[f"other {index}" for index in range(24)]))
    assert missing(YES, {"high": HIGH, "low": odd}) == ["low"]
    assert missing(YES, {"high": HIGH, "low": LOW}) == []
