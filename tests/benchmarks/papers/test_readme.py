"""README says what was measured, and its advice stands on rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.papers.paper_claims import CLAIMS
from benchmarks.papers.readme import CHOICES, LEAKS, README, RESULTS, SHARED, STILL, filled
from motion_core.errors import FormatError


def test_readme_is_up_to_date() -> None:
    """If this fails: python -m benchmarks.papers.readme"""
    text = README.read_text(encoding="utf-8")
    assert filled(text, json.loads(RESULTS.read_text(encoding="utf-8"))) == text


def test_every_advice_is_of_a_claim_that_there_is() -> None:
    keys = {claim.key for claim in CLAIMS}
    assert {f"{SHARED}{one.claim}" for one in (*LEAKS, *STILL)} <= keys
    assert {one.claim for some in CHOICES.values() for one in some} <= keys


def row(name: str, mean: float) -> dict[str, Any]:
    score = {"mean": mean, "low": mean - 0.1, "high": mean + 0.1}
    return {
        "name": name,
        "train_seconds": None if name.startswith("base") else 99.6,
        "scores": {"motion_fidelity": score, "appearance_accuracy": score},
    }


def claim(key: str, verdict: str) -> dict[str, str]:
    return {"key": key, "verdict": verdict}


def facts(claims: list[dict[str, str]], earlier: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "trainings": {"done": 3, "planned": 171},
        "rows": [row("base/animatediff/zigzag", 0.25), row("motrans/zeroscope/zigzag", 0.5)],
        "claims": claims,
        "earlier": {
            "rows": [
                row("motrans/zeroscope/zigzag", 0.75),
                row("motrans/animatediff/zigzag", 0.75),
            ],
            "claims": earlier,
        },
    }


def between(name: str, some: dict[str, Any]) -> str:
    mark = f"<!-- benchmark {name} -->"
    text = filled(f"Before {mark}old<!-- end --> after", some)
    assert text.startswith(f"Before {mark}") and text.endswith("<!-- end --> after")
    return text.removeprefix(f"Before {mark}").removesuffix("<!-- end --> after")


@pytest.mark.parametrize(
    ("claims", "earlier", "stands"),
    [
        ([("holds")], [], True),
        (["holds", "not shown", "not run yet"], [], True),
        (["holds", "does not hold"], [], False),
        (["not shown"], ["holds"], False),
        (["not run yet"], ["holds"], True),
        ([], ["holds"], True),
        ([], [], False),
    ],
)
def test_advice_stands_where_its_claim_holds_and_fails_nowhere(
    claims: list[str], earlier: list[str], stands: bool
) -> None:
    """Rows of version 0.1.0 count until today's are judged."""
    key = "motion-crafter.motion"
    some = facts([claim(key, v) for v in claims], [claim(key, v) for v in earlier])
    assert (between("use-motion-crafter", some) == "you want more of the motion") is stands


def test_remedies_are_listed_together() -> None:
    some = facts(
        [
            claim("motion-director-end-0.7.leaks-less", "holds"),
            claim("motion-director-strength-0.5.leaks-less", "not shown"),
            claim("motion-director-prior-0.5.leaks-more", "holds"),
        ],
        [],
    )
    assert between("leaks", some) == "helped on the small bases: `end_percent` 0.7; no noise prior"
    assert between("still", some) == "no remedy has been shown to help on the small bases yet"
    assert between("state", some) == "3 of its 171 trainings have been run"


def test_the_table_shows_todays_rows_or_marks_earlier_ones() -> None:
    lines = between("table", facts([], [])).strip().splitlines()
    figures = "0.50 [0.40, 0.60] | 0.50 [0.40, 0.60] | 100"
    earlier = "0.75 [0.65, 0.85] ³ | 0.75 [0.65, 0.85] ³ | 100"
    assert lines[2] == ("| base |  | 0.25 [0.15, 0.35] | 0.25 [0.15, 0.35] |  | not run yet | | |")
    assert lines[-1] == f"| motrans | tuned | {earlier} | {figures} |"
    assert "| motrans | the paper's | not run yet | | | not run yet | | |" in lines
    assert (
        len({line.replace("³ |", "³ ,").count("|") for line in (lines[0], lines[1], lines[2])}) == 1
    )


def test_a_mark_without_a_text_is_refused() -> None:
    with pytest.raises(FormatError, match=r"a mark 'tables'; there are table, state"):
        filled("<!-- benchmark tables --><!-- end -->", facts([], []))
