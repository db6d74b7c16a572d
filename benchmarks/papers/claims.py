"""A claim, and what the figures say to it.

In: measured rows and notes. Out: for every claim, backbone and motion a verdict, the figures, and
what was tried where it does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .results import Results
from .rows import Backbone, row_name
from .verdicts import Finding, Statement, judge

Name = Callable[[str], str]
"""From a variant's name to its row's on the backbone and motion at hand."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """key: for notes. about: the variant that it is shown beside. source: where it is claimed.
    words: the claim, as the source has it.
    """

    key: str
    about: str
    source: str
    words: str
    statement: Callable[[Name], Statement]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A claim on one backbone and motion. note: what was tried, from the notes."""

    claim: Claim
    backbone: Backbone
    motion: str
    finding: Finding
    note: str = ""


def judge_claims(
    claims: Iterable[Claim],
    places: Sequence[tuple[Backbone, str]],
    results: Results,
    notes: Mapping[str, str],
) -> list[Judged]:
    """Every claim on every (backbone, motion), where the row that it is about was measured.

    notes: by "key/backbone/motion", or by "key" for all of them.
    """
    judged: list[Judged] = []
    for claim in claims:
        for backbone, motion in places:
            if row_name(claim.about, backbone, motion) not in results:
                continue
            judged.append(
                Judged(
                    claim=claim,
                    backbone=backbone,
                    motion=motion,
                    finding=judge(claim.statement(_namer(backbone, motion)), results),
                    note=notes.get(f"{claim.key}/{backbone}/{motion}", notes.get(claim.key, "")),
                )
            )
    return judged


def _namer(backbone: Backbone, motion: str) -> Name:
    return lambda variant: row_name(variant, backbone, motion)
