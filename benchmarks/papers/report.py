"""results.json: every figure of the report as plain values, for programs and for README.

In: a plan, measured rows, judged claims. Out: a record; page.py shows the same to people.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from motion_core import __version__

from .claims import Judged
from .results import SCORES, Results, RowResult
from .rows import Plan

LIBRARIES = ("torch", "diffusers", "transformers", "peft", "open_clip_torch", "numpy")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is reported. states: of each unit by name, as in `Bench.state`. earlier: the rows of
    version 0.1.0 and what was judged of them. pictures: by motion, paths relative to the page.
    """

    command: str
    plan: Plan
    results: Results
    judged: Sequence[Judged]
    states: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    earlier: Results = field(default_factory=dict)
    earlier_judged: Sequence[Judged] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """How many units have been measured, by whatever code."""
        return sum(state != "not run yet" for state in self.states.values())


def record(report: Report) -> dict[str, Any]:
    """Everything as plain values for JSON. Clips are in results/rows."""
    return {
        "command": report.command,
        "package_version": __version__,
        "versions": {name: version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "prompts_per_motion": report.plan.prompts,
        "trainings": {"done": report.done, "planned": len(report.plan.units)},
        "rows": [_plain_row(row) for row in report.results.values()],
        "not_run_yet": [r.name for r in report.plan.rows if r.name not in report.results],
        "failures": dict(report.failures),
        "claims": [_plain_claim(one) for one in report.judged],
        "earlier": {
            "version": "0.1.0",
            "rows": [_plain_row(row) for row in report.earlier.values()],
            "claims": [_plain_claim(one) for one in report.earlier_judged],
        },
    }


def _plain_row(row: RowResult) -> dict[str, Any]:
    return {
        "name": row.name,
        "settings": row.settings,
        "trainings": [one.seed for one in row.trainings],
        "prompts": len(row.clips()),
        "scores": {score: _plain_score(row, score) for score in SCORES},
        "train_seconds": row.train_seconds,
        "sample_seconds": row.sample_seconds,
        "parameters": row.trainings[0].parameters,
    }


def _plain_score(row: RowResult, score: str) -> dict[str, float]:
    got = row.estimate(score)
    return {"mean": got.mean, "low": got.low, "high": got.high}


def _plain_claim(one: Judged) -> dict[str, Any]:
    return {
        "key": one.claim.key,
        "paper": one.claim.paper,
        "words": one.words,
        "about": one.claim.about,
        "backbone": one.backbone,
        "motion": one.motion,
        "verdict": one.verdict,
        "sentence": one.sentence,
        "p": one.corrected,
        "note": one.note,
    }
