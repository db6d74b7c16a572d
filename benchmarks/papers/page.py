"""results.md: the report to read.

In: a report. Out: the page's text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from .claims import Judged
from .intervals import RESAMPLES
from .motions import HELD_OUT
from .plans import places_of
from .ranking import Rank, ranks
from .report import Report
from .results import APPEARANCE, FIDELITY, LEAKAGE, SCORES, Results, RowResult
from .rows import Backbone, Row, row_name
from .variants import PAPERS, TERSE_METHODS, TUNED, Variant
from .verdicts import shown

RANKED = {"tuned": TUNED, "the papers' settings": PAPERS, "terse prompts": TERSE_METHODS}


def page(report: Report) -> str:
    """The whole of results.md."""
    lines = ["# Benchmark on shape world", "", *_how(report), ""]
    for backbone, motion in places_of(report.plan.rows):
        lines += [f"## {motion} on {backbone}", "", *_place(report, backbone, motion), ""]
    lines += ["## Claims", "", *_claims(report.judged), ""]
    for motion, path in report.pictures.items():
        lines += [f"## {motion} in pictures", "", f"![{motion}]({path})", ""]
    if report.earlier:
        lines += ["## Version 0.1.0", "", *_earlier(report), ""]
    lines += ["## Settings", "", *_settings(report.results), ""]
    return "\n".join(lines)


def _how(report: Report) -> Iterator[str]:
    yield f"    {report.command}"
    yield ""
    yield (
        f"**{report.done} of {len(report.plan.units)} trainings have been run**, the most "
        "important first. The same command goes on, on any machine; rows without figures say so. "
        "Until all have been run, verdicts are provisional: more statements make every p larger."
    )
    yield ""
    yield (
        f"Rows are sampled with the same {report.plan.prompts} prompts, where they don't say "
        "otherwise, each with a noise of its own; no setting was tuned on their subjects. Scores "
        "are computed from pixels (`motion_core/shape_world/scores.py`): motion fidelity is the "
        "correlation with the reference's track, appearance accuracy the share of clips with the "
        "requested colour, shape and background, leakage the share that shows the reference's "
        "colour or shape instead. These scores are ours: the papers have others (CLIP, trackers, "
        "people), so a verdict here is about our rows and our scores, and a paper's claim is "
        "quoted beside it only to say why we ask."
    )
    yield ""
    yield (
        f"{' and '.join(HELD_OUT)} are held out: no setting was tuned on them, and no test trains "
        "on them."
    )
    yield ""
    yield (
        "Brackets show 95 % intervals: the wider of a cluster bootstrap over prompts, never over "
        f"single clips ({RESAMPLES} resamples), and Student's t; for shares the error is at least "
        "Wilson's of as many prompts, so that 1.00 is not taken for certain. Rows with several "
        "trainings resample those too; their intervals cover other prompts, other noise and other "
        "seeds of training, the last coarsely: where seeds differ more than prompts do, an "
        "interval of three trainings is right somewhat more rarely than 95 times in 100. Rows "
        "with one training say nothing of another. No interval covers other motions."
    )
    yield ""
    yield (
        "A statement holds, or does not, if p is at most 0.05 after Holm's correction for all "
        "statements judged in its table; otherwise it is not shown, which is no evidence against "
        "it. p is two-sided, the larger of the bootstrap's and of Student's t over prompts. A "
        'statement of several parts needs all of them where it says "and", and one with "or" '
        "pays for the choice. Learning the motion is judged by the lower end of the "
        "interval. Seconds are those that one core of the machine at hand worked, and are not "
        "judged."
    )


def _place(report: Report, backbone: Backbone, motion: str) -> Iterator[str]:
    rows = [r for r in report.plan.rows if (r.backbone, r.motion) == (backbone, motion)]
    if not any(row.name in report.results or row.name in report.failures for row in rows):
        yield f"Not run yet: {', '.join(row.variant.name for row in rows)}."
        return
    yield from _table(
        [_line_of(report, row) for row in rows],
        ["row", *_SCORED, "trainings", "training", "sampling", "verdicts"],
    )
    if any(row.trainings > 1 for row in rows):
        yield from _rankings(report.results, backbone, motion)


_SCORED = ("motion fidelity", "appearance", "leakage")


def _line_of(report: Report, row: Row) -> list[str]:
    name = row.variant.name
    if row.name in report.failures:
        return [name, f"failed: {report.failures[row.name]}", *[""] * 6]
    if row.name not in report.results:
        return [name, "not run yet", *[""] * 6]
    result = report.results[row.name]
    count = len(result.clips())
    return [
        name if count == report.plan.prompts else f"{name} ({count} prompts)",
        *_figures(result),
        _trainings(report, row, result),
        *_seconds(result),
        _verdicts(report.judged, row.name),
    ]


def _figures(result: RowResult) -> list[str]:
    return [shown(result.estimate(score)) for score in SCORES]


def _trainings(report: Report, row: Row, result: RowResult) -> str:
    """ "2 of 3", and whether the code has changed since."""
    if not result.trained:
        return ""
    old = any(
        report.states.get(f"{row.name.replace('/', '.')}.{one.seed}") == "other code"
        for one in result.trainings
    )
    count = f"{len(result.trainings)} of {row.trainings}"
    return f"{count}, by earlier code" if old else count


def _seconds(result: RowResult) -> list[str]:
    trained = "" if result.train_seconds is None else f"{result.train_seconds:.0f} s"
    return [trained, f"{result.sample_seconds:.0f} s"]


def _verdicts(judged: Sequence[Judged], row: str) -> str:
    """Each says what it is of: rows are read alone."""
    return "<br>".join(
        f"{one.words}: **{one.verdict}**"
        for one in judged
        if row_name(one.claim.about, one.backbone, one.motion) == row
    )


def _rankings(results: Results, backbone: Backbone, motion: str) -> Iterator[str]:
    """Ranks of each group of methods that has been measured completely."""
    for words, variants in RANKED.items():
        rows = [results.get(row_name(v.name, backbone, motion)) for v in variants]
        measured = [row for row in rows if row]
        if len(measured) < len(rows):
            continue
        yield ""
        yield f"Ranks, {words}, 1 the best, with the interval of each rank:"
        yield ""
        yield from _table(
            [
                _ranked(variant, *one)
                for variant, one in zip(variants, _ranks(measured), strict=True)
            ],
            ["row", *_SCORED, "seconds of training"],
        )


def _ranks(rows: Sequence[RowResult]) -> Iterator[tuple[RowResult, list[Rank]]]:
    by_score = [
        ranks(rows, FIDELITY),
        ranks(rows, APPEARANCE),
        ranks(rows, LEAKAGE, lower_is_better=True),
    ]
    yield from ((row, list(of_row)) for row, *of_row in zip(rows, *by_score, strict=True))


def _ranked(variant: Variant, row: RowResult, of_row: Sequence[Rank]) -> list[str]:
    took = [f"{one.train_seconds:.0f}" for one in row.trainings]
    cells = [f"{one.rank:g} [{one.low:g}, {one.high:g}]" for one in of_row]
    return [variant.name, *cells, ", ".join(took)]


def _claims(judged: Sequence[Judged]) -> Iterator[str]:
    count = sum(one.corrected is not None for one in judged)
    verdicts = Counter(one.verdict for one in judged)
    summary = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items())
    yield f"Statements judged together: {count} ({summary})." if count else "None judged yet."
    yield ""
    yield from _table(
        [
            [
                one.words,
                f"{one.motion} on {one.backbone}",
                f"**{one.verdict}**",
                "" if one.corrected is None else f"{one.corrected:.2g}",
                one.sentence,
                one.claim.paper,
                one.note,
            ]
            for one in judged
        ],
        ["statement (ours)", "measured on", "verdict", "p", "figures", "asked because of", "notes"],
    )


def _earlier(report: Report) -> Iterator[str]:
    yield (
        "Measured by version 0.1.0 and judged anew by the statistics above: 8 prompts a motion, "
        "each with the same three noises (so that an interval covers prompts, and not noise), and "
        "one training a row. That version counted clips as independent, corrected for nothing, "
        "judged what it required of methods by means, and said of 34 statements that 16 hold, 2 do "
        "not, and 16 are not shown. Rows above replace these as they are run."
    )
    yield ""
    for place in dict.fromkeys(name.partition("/")[2] for name in report.earlier):
        backbone, motion = place.split("/")
        yield f"### {motion} on {backbone}, version 0.1.0"
        yield ""
        yield from _table(
            [
                [result.name.partition("/")[0], *_figures(result), *_seconds(result)]
                for result in report.earlier.values()
                if result.name.endswith(f"/{place}")
            ],
            ["row", *_SCORED, "training", "sampling"],
        )
        yield ""
    yield "### Claims, version 0.1.0"
    yield ""
    yield from _claims(report.earlier_judged)
    for motion in dict.fromkeys(name.rpartition("/")[2] for name in report.earlier):
        yield ""
        yield f"![{motion}, version 0.1.0](results/{motion}-0.1.0.png)"


def _settings(results: Results) -> Iterator[str]:
    """What decides each row; the rest is in results.json."""
    rows = []
    for result in results.values():
        tables = [
            f"{table}: {_values(values)}" for table, values in result.settings.items() if values
        ]
        rows.append([result.name, "<br>".join(tables)])
    yield from _table(rows, ["row", "settings"])


def _values(values: object) -> str:
    if not isinstance(values, dict):
        return str(values)
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> Iterator[str]:
    yield _line(header)
    yield f"|{'---|' * len(header)}"
    yield from (_line(row) for row in rows)


def _line(cells: Sequence[str]) -> str:
    """A line of a table; a bar in a cell would end it."""
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
