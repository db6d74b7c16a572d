"""The page says what was measured, by what, how often, and what is still to come."""

from __future__ import annotations

import dataclasses
import re

from benchmarks.papers.claims import Claim, judge_claims
from benchmarks.papers.kept import earlier_rows
from benchmarks.papers.page import page
from benchmarks.papers.readme import RESULTS
from benchmarks.papers.report import Report, record
from benchmarks.papers.results import FIDELITY, RowResult
from benchmarks.papers.rows import Plan, Row, Unit
from benchmarks.papers.variants import BASE, TUNED
from benchmarks.papers.verdicts import Higher
from tests.benchmarks.papers.hand_made import row, training

VARIANTS = (BASE, *TUNED)
ROWS = [
    Row(variant=v, backbone="zeroscope", motion="zigzag", trainings=2 if v.method else 1)
    for v in VARIANTS
]
PLAN = Plan(
    rows=[*ROWS, Row(variant=BASE, backbone="zeroscope", motion="bounce")],
    units=[Unit(row=r, seed=seed) for seed in (0, 1) for r in ROWS if seed < r.trainings],
    prompts=4,
)
CLAIM = Claim(
    key="some.claim",
    about="motion-director",
    paper='A paper, Sec. 1: "better than a | base".',
    statement=lambda name: Higher(name("motion-director"), name("base"), FIDELITY, 0.3),
)


def measured(name: str, fidelity: float, *, times: int = 2) -> RowResult:
    """Four prompts around a fidelity."""
    spread = (-0.01, 0.0, 0.0, 0.01)
    trainings = [
        training([fidelity + one for one in spread], seed=seed, train_seconds=90.0 + seed)
        for seed in range(times)
    ]
    return row(f"{name}/zeroscope/zigzag", *trainings)


def report(*rows: RowResult, **more: object) -> Report:
    base = row("base/zeroscope/zigzag", training([0.0, 0.1, 0.0, 0.1], train_seconds=None))
    results = {one.name: one for one in (base, *rows)}
    judged = judge_claims([CLAIM], [("zeroscope", "zigzag")], results, {})
    states = {unit.name: "not run yet" for unit in PLAN.units}
    for one in results.values():
        for trained in one.trainings:
            states[f"{one.name.replace('/', '.')}.{trained.seed}"] = "current"
    whole = Report(command="python -m x", plan=PLAN, results=results, judged=judged, states=states)
    return dataclasses.replace(whole, **more)  # type: ignore[arg-type]


DIRECTOR = measured("motion-director", 0.9, times=1)


def line_of(text: str, beginning: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(beginning)]
    return line


def test_rows_say_how_much_of_them_is_done() -> None:
    """The base's one, and one of the method's two trainings, of nine in all."""
    text = page(report(DIRECTOR))
    assert "**2 of 9 trainings have been run**" in text
    line = line_of(text, "| motion-director |")
    assert "| 0.90 [" in line and "| 1 of 2 | 90 s | 4 s |" in line
    assert line_of(text, "| motrans |") == "| motrans | not run yet |  |  |  |  |  |  |"
    assert "## bounce on zeroscope\n\nNot run yet: base." in text


def test_a_verdict_has_its_rows_own_name_and_stands_with_the_papers_words() -> None:
    text = page(report(DIRECTOR))
    words = "motion fidelity of motion-director is higher than that of base by more than 0.30"
    assert f"{words}: **holds** |" in line_of(text, "| motion-director |")
    claim = line_of(text, f"| {words} |")
    assert 'A paper, Sec. 1: "better than a / base".' in claim
    assert "motion fidelity of motion-director 0.90 against 0.05 of base: +0.85 [" in claim
    assert "Statements judged together: 1 (1 holds)." in text


def test_older_code_and_failures_are_told() -> None:
    name = "motion-director.zeroscope.zigzag.0"
    states = {**report(DIRECTOR).states, name: "other code"}
    text = page(report(DIRECTOR, states=states))
    assert "| 1 of 2, by earlier code |" in line_of(text, "| motion-director |")
    text = page(report(failures={"motrans/zeroscope/zigzag": "out of memory"}))
    assert line_of(text, "| motrans |").startswith("| motrans | failed: out of memory |")


def test_methods_are_ranked_when_all_of_them_are_measured() -> None:
    """0.9, 0.8, 0.7, 0.6, each far from the next; all look right, and so share the ranks 1 to 4."""
    rows = [measured(v.name, 0.9 - 0.1 * index) for index, v in enumerate(TUNED)]
    text = page(report(*rows))
    assert "Ranks, tuned, 1 the best" in text and "Ranks, the papers' settings" not in text
    start = text.index("Ranks, tuned")
    lines = text[start:].splitlines()[4:8]
    assert lines[0] == "| motion-director | 1 [1, 1] | 2.5 [2.5, 2.5] | 2.5 [2.5, 2.5] | 90, 91 |"
    assert lines[3].startswith("| motrans | 4 [4, 4] |")
    assert "Ranks" not in page(report(*rows[:3]))


def test_earlier_rows_stand_apart_with_their_pictures() -> None:
    text = page(report(DIRECTOR, earlier=earlier_rows()))
    before, _, after = text.partition("## Version 0.1.0")
    assert "coupled-captioned" not in before and "| coupled-captioned |" in after
    pictures = re.findall(r"\]\((results/.*\.png)\)", after)
    assert len(pictures) == 2
    assert all((RESULTS.parent / picture).is_file() for picture in pictures)


def test_the_record_has_the_same_figures() -> None:
    facts = record(report(DIRECTOR))
    assert facts["trainings"] == {"done": 2, "planned": 9}
    (base, director) = facts["rows"]
    assert (base["train_seconds"], director["train_seconds"]) == (None, 90.0)
    assert round(director["scores"]["motion_fidelity"]["mean"], 6) == 0.9
    assert facts["not_run_yet"][0] == "motion-crafter/zeroscope/zigzag"
    assert facts["claims"][0]["verdict"] == "holds"
    assert facts["claims"][0]["p"] < 0.05
