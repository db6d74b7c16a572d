"""A claim, and what the figures say to it.

In: measured rows and notes. Out: for every claim, backbone and motion a verdict, corrected for the
number of all claims judged, the figures, and what was tried where it does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .holm import holm
from .results import Results
from .rows import Backbone, row_name
from .verdicts import Evidence, Statement, Verdict, missing, verdict_of

Name = Callable[[str], str]
"""From a variant's name to its row's on the backbone and motion at hand."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What this project asks of its rows, in their own terms.

    key: for notes. about: the variant that it is shown beside. statement: what is asked.
    paper: the claim that it stands for, in the paper's own words and with its place; none if it is
    ours alone. The papers' scores are others (CLIP, trackers, people), so that a statement here is
    never the paper's claim itself.
    """

    key: str
    about: str
    statement: Callable[[Name], Statement]
    paper: str = ""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A claim on one backbone and motion. words: what was asked, with the rows' names. corrected:
    its p after Holm's correction, None if it was not measured. note: what was tried.
    """

    claim: Claim
    backbone: Backbone
    motion: str
    words: str
    verdict: Verdict
    sentence: str
    corrected: float | None = None
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
    asked: list[tuple[Claim, Backbone, str, Statement]] = [
        (claim, backbone, motion, claim.statement(_namer(backbone, motion)))
        for claim in claims
        for backbone, motion in places
        if row_name(claim.about, backbone, motion) in results
    ]
    lacking = [missing(statement, results) for *_, statement in asked]
    weighed = [
        None if lacks else statement.weigh(results)
        for (*_, statement), lacks in zip(asked, lacking, strict=True)
    ]
    corrected = iter(holm([evidence.p for evidence in weighed if evidence]))
    judged: list[Judged] = []
    for (claim, backbone, motion, statement), lacks, evidence in zip(
        asked, lacking, weighed, strict=True
    ):
        verdict, sentence, p = _finding(evidence, lacks, corrected)
        judged.append(
            Judged(
                claim=claim,
                backbone=backbone,
                motion=motion,
                words=statement.words(),
                verdict=verdict,
                sentence=sentence,
                corrected=p,
                note=notes.get(f"{claim.key}/{backbone}/{motion}", notes.get(claim.key, "")),
            )
        )
    return judged


def _finding(
    evidence: Evidence | None, lacks: Sequence[str], corrected: Iterable[float]
) -> tuple[Verdict, str, float | None]:
    """Takes the next corrected p where there is evidence."""
    if evidence is None:
        return "not run yet", f"missing: {', '.join(lacks)}", None
    p = next(iter(corrected))
    return verdict_of(evidence, p), evidence.sentence, p


def _namer(backbone: Backbone, motion: str) -> Name:
    return lambda variant: row_name(variant, backbone, motion)
