"""From scores to verdicts: the statements that claims are made of.

In: measured rows. Out: an `Evidence`: how improbable the figures are if the statement is false, and
if it is true, with the figures in a sentence. A verdict follows after the correction for the
number of claims; see claims.py. Differences are taken training by training and prompt by prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from .intervals import Estimate
from .results import (
    APPEARANCE,
    LEAKAGE,
    WORDS,
    Results,
    common_clips,
    difference,
)

Verdict = Literal["holds", "does not hold", "not shown", "not run yet"]
ALPHA = 0.05


@dataclass(frozen=True)
class Evidence:
    """against: the one-sided p of "the statement is false", small where it holds. opposite: that of
    "the statement is true", small where it does not hold.
    """

    against: float
    opposite: float
    sentence: str

    @property
    def p(self) -> float:
        """Two-sided, before any correction."""
        return min(1.0, 2 * min(self.against, self.opposite))


class Statement(Protocol):
    """Something that rows bear out or not."""

    def rows(self) -> Iterator[str]:
        """The names of the rows that it takes."""
        ...

    def words(self) -> str:
        """What it says, with its rows' variants by name."""
        ...

    def weigh(self, results: Results) -> Evidence:
        """results: holds all of these rows."""
        ...


@dataclass(frozen=True)
class Reaches:
    """A score is at least `bound`: judged by the lower end of its interval."""

    row: str
    score: str
    bound: float

    def rows(self) -> Iterator[str]:
        yield self.row

    def words(self) -> str:
        return f"{WORDS[self.score]} of {_short(self.row)} is at least {self.bound:.2f}"

    def weigh(self, results: Results) -> Evidence:
        got = results[self.row].estimate(self.score)
        return _evidence(got, self.bound, f"{WORDS[self.score]} of {_short(self.row)} {shown(got)}")


@dataclass(frozen=True)
class Higher:
    """A score is higher than another row's by more than `by`."""

    row: str
    than: str
    score: str
    by: float = 0.0

    def rows(self) -> Iterator[str]:
        yield from (self.row, self.than)

    def words(self) -> str:
        margin = f" by more than {self.by:.2f}" if self.by else ""
        return (
            f"{WORDS[self.score]} of {_short(self.row)} is higher than that of "
            f"{_short(self.than)}{margin}"
        )

    def weigh(self, results: Results) -> Evidence:
        gap = difference(results[self.row], results[self.than], self.score)
        return _evidence(gap, self.by, _compared(self.row, self.than, self.score, results, gap))


@dataclass(frozen=True)
class Lower:
    """A score is lower than another row's."""

    row: str
    than: str
    score: str

    def rows(self) -> Iterator[str]:
        yield from (self.row, self.than)

    def words(self) -> str:
        return (
            f"{WORDS[self.score]} of {_short(self.row)} is lower than that of {_short(self.than)}"
        )

    def weigh(self, results: Results) -> Evidence:
        gap = difference(results[self.row], results[self.than], self.score)
        words = _compared(self.row, self.than, self.score, results, gap)
        turned = _evidence(gap, 0.0, words)
        return Evidence(turned.opposite, turned.against, words)


@dataclass(frozen=True)
class NotLower:
    """A score is not lower than another row's by `margin` or more."""

    row: str
    than: str
    score: str
    margin: float

    def rows(self) -> Iterator[str]:
        yield from (self.row, self.than)

    def words(self) -> str:
        return (
            f"{WORDS[self.score]} of {_short(self.row)} is less than {self.margin:.2f} below that "
            f"of {_short(self.than)}"
        )

    def weigh(self, results: Results) -> Evidence:
        gap = difference(results[self.row], results[self.than], self.score)
        words = _compared(self.row, self.than, self.score, results, gap)
        return _evidence(gap, -self.margin, words)


@dataclass(frozen=True)
class LeaksMore:
    """A row shows more of the reference's looks than another: a lower appearance accuracy or a
    higher leakage, and the choice between the two is paid for.
    """

    row: str
    than: str

    def rows(self) -> Iterator[str]:
        yield from (self.row, self.than)

    def words(self) -> str:
        return (
            f"{_short(self.row)} has a lower appearance accuracy or more leakage than "
            f"{_short(self.than)}"
        )

    def weigh(self, results: Results) -> Evidence:
        parts = (Lower(self.row, self.than, APPEARANCE), Higher(self.row, self.than, LEAKAGE))
        found = [part.weigh(results) for part in parts]
        opposite = max(one.opposite for one in found)
        return Evidence(_any([one.against for one in found]), opposite, _sentence(found))


@dataclass(frozen=True)
class All:
    """Every part holds."""

    parts: Sequence[Statement]

    def rows(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.rows()

    def words(self) -> str:
        return ", and ".join(part.words() for part in self.parts)

    def weigh(self, results: Results) -> Evidence:
        """Every part must be shown, so that the largest p counts; one part whose opposite is shown
        is enough against it, of as many as there are.
        """
        found = [part.weigh(results) for part in self.parts]
        against = max(one.against for one in found)
        return Evidence(against, _any([one.opposite for one in found]), _sentence(found))


def missing(statement: Statement, results: Results) -> list[str]:
    """The rows that a statement lacks, by name: not measured, or with other prompts than the rest.

    All its rows are compared on the clips that they have in common.
    """
    names = list(dict.fromkeys(statement.rows()))
    absent = sorted(name for name in names if name not in results)
    if absent:
        return absent
    return [n for n in names[1:] if not common_clips(results[names[0]], results[n])]


def verdict_of(evidence: Evidence, corrected: float) -> Verdict:
    """corrected: the evidence's p, corrected for the number of claims."""
    if corrected > ALPHA:
        return "not shown"
    return "holds" if evidence.against <= evidence.opposite else "does not hold"


def shown(got: Estimate) -> str:
    """ "0.91 [0.88, 0.93]" """
    return f"{got.mean:.2f} [{got.low:.2f}, {got.high:.2f}]"


def _evidence(got: Estimate, bound: float, words: str) -> Evidence:
    return Evidence(got.chance_not_above(bound), got.chance_not_below(bound), words)


def _any(p_values: Sequence[float]) -> float:
    """Of "at least one of these is shown", by Bonferroni."""
    return min(1.0, len(p_values) * min(p_values))


def _sentence(found: Sequence[Evidence]) -> str:
    return "; ".join(one.sentence for one in found)


def _compared(row: str, than: str, score: str, results: Results, gap: Estimate) -> str:
    """ "motion fidelity of coupled 0.91 against 0.80 of base: +0.11 [+0.04, +0.19]" """
    ours, theirs = (results[name].estimate(score).mean for name in (row, than))
    return (
        f"{WORDS[score]} of {_short(row)} {ours:.2f} against {theirs:.2f} of {_short(than)}: "
        f"{gap.mean:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}]"
    )


def _short(name: str) -> str:
    """The variant of a row's name."""
    return name.partition("/")[0]
