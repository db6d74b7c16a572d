"""From scores to verdicts: the statements that claims are made of.

In: measured rows. Out: a `Finding`, whether the figures bear a statement out, and the figures in a
sentence. Requirements (`Reaches`, `Exceeds`, `TrainedWithin`) are judged by the means, as they are
worded. Comparisons (`Higher`, `Lower`, `NotLower`) are judged by the 95 % interval of the paired
difference: where it holds both answers, the statement is "not shown".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from .intervals import Interval, paired_difference
from .results import WORDS, Results

Verdict = Literal["holds", "does not hold", "not shown", "not measured"]


@dataclass(frozen=True)
class Finding:
    verdict: Verdict
    sentence: str


class Statement(Protocol):
    """Something that rows bear out or not."""

    def rows(self) -> Iterator[str]:
        """The names of the rows that it takes."""
        ...

    def find(self, results: Results) -> Finding:
        """results: holds all of these rows."""
        ...


@dataclass(frozen=True)
class Reaches:
    """The mean of a score is at least `bound`."""

    row: str
    score: str
    bound: float

    def rows(self) -> Iterator[str]:
        yield self.row

    def find(self, results: Results) -> Finding:
        got = results[self.row].interval(self.score)
        words = f"{WORDS[self.score]} {_shown(got)}, wanted {self.bound:.2f}"
        return Finding(_yes_or_no(got.mean >= self.bound), words)


@dataclass(frozen=True)
class Exceeds:
    """The mean of a score is at least another row's plus `by`."""

    row: str
    than: str
    score: str
    by: float

    def rows(self) -> Iterator[str]:
        yield from (self.row, self.than)

    def find(self, results: Results) -> Finding:
        gap = _gap(results, self.row, self.than, self.score)
        words = _compared(results, self.row, self.than, self.score, gap)
        return Finding(_yes_or_no(gap.mean >= self.by), f"{words}, wanted {self.by:+.2f}")


@dataclass(frozen=True)
class TrainedWithin:
    """The training took at most so many seconds."""

    row: str
    seconds: float

    def rows(self) -> Iterator[str]:
        yield self.row

    def find(self, results: Results) -> Finding:
        took = results[self.row].train_seconds
        assert took is not None, self.row
        words = f"trained in {took:.0f} s, allowed {self.seconds:.0f} s"
        return Finding(_yes_or_no(took <= self.seconds), words)


@dataclass(frozen=True)
class Higher:
    """A score is higher than another row's, clip by clip."""

    row: str
    than: str
    score: str

    def rows(self) -> Iterator[str]:
        yield from (self.row, self.than)

    def find(self, results: Results) -> Finding:
        gap = _gap(results, self.row, self.than, self.score)
        words = _compared(results, self.row, self.than, self.score, gap)
        return Finding(_by_interval(gap.low > 0, gap.high < 0), words)


@dataclass(frozen=True)
class Lower:
    """A score is lower than another row's, clip by clip."""

    row: str
    than: str
    score: str

    def rows(self) -> Iterator[str]:
        yield from (self.row, self.than)

    def find(self, results: Results) -> Finding:
        gap = _gap(results, self.row, self.than, self.score)
        words = _compared(results, self.row, self.than, self.score, gap)
        return Finding(_by_interval(gap.high < 0, gap.low > 0), words)


@dataclass(frozen=True)
class NotLower:
    """A score is not lower than another row's by more than `margin`."""

    row: str
    than: str
    score: str
    margin: float

    def rows(self) -> Iterator[str]:
        yield from (self.row, self.than)

    def find(self, results: Results) -> Finding:
        gap = _gap(results, self.row, self.than, self.score)
        words = _compared(results, self.row, self.than, self.score, gap)
        verdict = _by_interval(gap.low >= -self.margin, gap.high < -self.margin)
        return Finding(verdict, f"{words}, a loss of at most {self.margin:.2f} is allowed")


@dataclass(frozen=True)
class All:
    """Every part holds."""

    parts: Sequence[Statement]

    def rows(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.rows()

    def find(self, results: Results) -> Finding:
        return _combined(self.parts, results, decisive="does not hold", otherwise="holds")


@dataclass(frozen=True)
class Either:
    """At least one part holds."""

    parts: Sequence[Statement]

    def rows(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.rows()

    def find(self, results: Results) -> Finding:
        return _combined(self.parts, results, decisive="holds", otherwise="does not hold")


def judge(statement: Statement, results: Results) -> Finding:
    """The finding of a statement, or that rows of it were not measured."""
    missing = sorted(set(statement.rows()) - set(results))
    if missing:
        return Finding("not measured", f"missing: {', '.join(missing)}")
    return statement.find(results)


def _combined(
    parts: Sequence[Statement], results: Results, *, decisive: Verdict, otherwise: Verdict
) -> Finding:
    """decisive: the verdict of one part that settles the whole. otherwise: the whole's verdict if
    every part has the other one.
    """
    findings = [part.find(results) for part in parts]
    verdicts = [finding.verdict for finding in findings]
    sentence = "; ".join(finding.sentence for finding in findings)
    open_question: Verdict = "not shown" if "not shown" in verdicts else otherwise
    return Finding(decisive if decisive in verdicts else open_question, sentence)


def _gap(results: Results, row: str, than: str, score: str) -> Interval:
    ours, theirs = results[row].values(score), results[than].values(score)
    assert ours.keys() == theirs.keys(), (row, than)
    return paired_difference(list(ours.values()), [theirs[key] for key in ours])


def _compared(results: Results, row: str, than: str, score: str, gap: Interval) -> str:
    """ "motion fidelity 0.91 against 0.80 of motion-director-plain: +0.11 [+0.04, +0.19]" """
    ours, theirs = results[row].interval(score).mean, results[than].interval(score).mean
    return (
        f"{WORDS[score]} {ours:.2f} against {theirs:.2f} of {than.partition('/')[0]}: "
        f"{gap.mean:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}]"
    )


def _shown(got: Interval) -> str:
    return f"{got.mean:.2f} [{got.low:.2f}, {got.high:.2f}]"


def _yes_or_no(holds: bool) -> Verdict:
    return "holds" if holds else "does not hold"


def _by_interval(holds: bool, fails: bool) -> Verdict:
    return "holds" if holds else "does not hold" if fails else "not shown"
