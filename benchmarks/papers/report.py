"""results.json and results.md: every figure of the run, and nothing else.

In: a carried out plan and judged claims. Out: a plain record, and the same as a page to read.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch

from motion_core import __version__

from .claims import Judged
from .intervals import RESAMPLES, Interval
from .plans import places_of
from .results import SCORES, RowResult, to_plain
from .rows import Backbone, Plan

LIBRARIES = ("torch", "diffusers", "transformers", "peft", "open_clip_torch", "numpy")

Record = Mapping[str, Any]


def record(
    plan: Plan,
    results: Mapping[str, RowResult],
    failures: Mapping[str, str],
    judged: Sequence[Judged],
    *,
    command: str,
    seconds: float,
) -> dict[str, Any]:
    """Everything as plain values for JSON. seconds: of this call; kept rows cost it nothing."""
    return {
        "command": command,
        "seconds": seconds,
        "work_seconds": _work_seconds(results.values()),
        "package_version": __version__,
        "versions": {name: version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "prompts_per_motion": plan.prompts,
        "seeds": list(plan.seeds),
        "rows": [
            {**to_plain(result), "scores": {s: result.interval(s)._asdict() for s in SCORES}}
            for result in results.values()
        ],
        "failures": dict(failures),
        "claims": [_plain_claim(one) for one in judged],
    }


def _work_seconds(results: Iterable[RowResult]) -> float:
    """Of all trainings and samples; a training that rows share counts once."""
    trainings = {
        (result.name.partition("/")[2], str(result.settings.get("objective")), result.train_seconds)
        for result in results
    }
    trained = sum(seconds or 0.0 for _, _, seconds in trainings)
    return trained + sum(result.sample_seconds for result in results)


def page(
    plan: Plan,
    results: Mapping[str, RowResult],
    failures: Mapping[str, str],
    judged: Sequence[Judged],
    record: Record,
    pictures: Mapping[str, str],
) -> str:
    """results.md. pictures: by motion, paths relative to the page."""
    lines = ["# Benchmark on shape world", "", *_how(record), ""]
    for backbone, motion in places_of(plan.rows):
        lines += [f"## {motion} on {backbone}", ""]
        lines += [*_rows_table(plan, results, failures, judged, backbone, motion), ""]
    lines += ["## Claims", "", *_claims_table(judged), ""]
    for motion, path in pictures.items():
        lines += [f"## {motion} in pictures", "", f"![{motion}]({path})", ""]
    lines += ["## Settings", "", *_settings_table(results), ""]
    return "\n".join(lines)


def _how(record: Record) -> Iterator[str]:
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    seeds = ", ".join(map(str, record["seeds"]))
    yield f"    {record['command']}"
    yield ""
    yield (
        f"{record['prompts_per_motion']} prompts per motion x seeds {seeds}, the same for all rows "
        "of a motion; no setting was tuned on the prompts' subjects. Scores are computed from "
        "pixels (`motion_core/shape_world/scores.py`): motion fidelity is the correlation with the "
        "reference's track, appearance the share of clips with the requested colour, shape and "
        "background, leakage the share that shows the reference's colour or shape instead."
    )
    yield ""
    yield (
        f"Brackets show 95 % bootstrap intervals over clips ({RESAMPLES} resamples). Each variant "
        "is trained once, so the intervals do not cover variation between trainings. A comparison "
        "holds if the interval of the paired difference supports it, and is not shown if the "
        "interval contains 0."
    )
    yield ""
    yield (
        f"Took {record['seconds']:.0f} s with {record['threads']} threads on {record['cores']} "
        "cores, not counting rows kept from an earlier run (all rows together: "
        f"{record['work_seconds'] / 60:.0f} minutes of training and sampling on one core each); "
        f"motion_core {record['package_version']}, Python {record['python']}, {versions}."
    )


def _rows_table(
    plan: Plan,
    results: Mapping[str, RowResult],
    failures: Mapping[str, str],
    judged: Sequence[Judged],
    backbone: Backbone,
    motion: str,
) -> Iterator[str]:
    yield "| row | motion fidelity | appearance | leakage | training | sampling | claims |"
    yield "|---|---|---|---|---|---|---|"
    for row in plan.rows:
        if (row.backbone, row.motion) != (backbone, motion):
            continue
        claims = [
            f"{one.claim.words}: **{one.finding.verdict}**"
            for one in judged
            if (one.claim.about, one.backbone, one.motion) == (row.variant.name, backbone, motion)
        ]
        if row.name in results:
            cells = _figures(results[row.name])
        else:
            cells = [f"failed: {failures.get(row.name, 'not measured')}", *[""] * 4]
        yield _line([row.variant.name, *cells, "<br>".join(claims)])


def _figures(result: RowResult) -> list[str]:
    trained = "" if result.train_seconds is None else f"{result.train_seconds:.0f} s"
    intervals = [_cell(result.interval(score)) for score in SCORES]
    return [*intervals, trained, f"{result.sample_seconds:.0f} s"]


def _cell(got: Interval) -> str:
    return f"{got.mean:.2f} [{got.low:.2f}, {got.high:.2f}]"


def _claims_table(judged: Sequence[Judged]) -> Iterator[str]:
    yield "| claim | source | measured on | verdict | scores | notes |"
    yield "|---|---|---|---|---|---|"
    for one in judged:
        cells = [
            one.claim.words,
            one.claim.source,
            f"{one.motion} on {one.backbone}",
            f"**{one.finding.verdict}**",
            f"{one.claim.about}: {one.finding.sentence}",
            one.note,
        ]
        yield _line(cells)


def _settings_table(results: Mapping[str, RowResult]) -> Iterator[str]:
    """What decides each row; the rest is in results.json."""
    yield "| row | settings |"
    yield "|---|---|"
    for result in results.values():
        tables = [
            f"{table}: {', '.join(f'{name} {value}' for name, value in values.items())}"
            for table, values in result.settings.items()
            if values
        ]
        yield _line([result.name, "<br>".join(tables)])


def _line(cells: Sequence[str]) -> str:
    """A line of a table; a bar in a cell would end it."""
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _plain_claim(one: Judged) -> dict[str, Any]:
    return {
        "key": one.claim.key,
        "source": one.claim.source,
        "words": one.claim.words,
        "about": one.claim.about,
        "backbone": one.backbone,
        "motion": one.motion,
        **asdict(one.finding),
        "note": one.note,
    }
