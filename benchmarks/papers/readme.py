"""What README says of the benchmark, written by program, so that it never says more than was
measured: `python -m benchmarks.papers.readme` writes it, and so does every whole report.

In: results.json and a README with pairs of marks, <!-- benchmark NAME --> and <!-- end -->. Out:
the README with the text of each name between its marks. Advice stands there if the rows made for it
support it, and not otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from motion_core.errors import FormatError
from motion_core.files import replacing

from .results import APPEARANCE, FIDELITY
from .rows import BASES, row_name
from .variants import BASE, PAPERS, PRIOR_ALONE, TUNED

ROOT = Path(__file__).parents[2]
README, RESULTS = ROOT / "README.md", ROOT / "docs" / "results.json"
MARKED = re.compile(r"(<!-- benchmark ([\w-]+) -->).*?(<!-- end -->)", re.DOTALL)
MOTION = "zigzag"
WORDS = ("AnimateDiff", "ZeroScope")
"""The bases' architectures, in their order."""

Facts = Mapping[str, Any]


class Advice(NamedTuple):
    """words: what to do. claim: by its key, that has to hold somewhere and to fail nowhere."""

    words: str
    claim: str


LEAKS = (
    Advice("a clip prompt that also describes the appearance", "full-caption.leaks-less"),
    Advice("a strength of 0.5", "strength-0.5.leaks-less"),
    Advice("`end_percent` 0.7", "end-0.7.leaks-less"),
    Advice("fewer `steps`, or an earlier checkpoint", "half-the-steps.leaks-less"),
    Advice("no noise prior", "prior-0.5.leaks-more"),
)
STILL = (
    Advice("`temporal_strength` 1.5", "strength-1.5.motion"),
    Advice("more `steps`", "half-the-steps.motion"),
    Advice("the noise prior (*Motion Noise*, 0.3)", "prior-0.3.motion"),
)
SHARED = "motion-director-"
"""The rows of what is advised for any method are MotionDirector's."""
CHOICES: Mapping[str, tuple[Advice, ...]] = {
    "motion-director": (Advice("you have several clips", "motion-director-10-clips.motion"),),
    "motion-crafter": (Advice("you want more of the motion", "motion-crafter.motion"),),
    "motion-inversion": (
        Advice("the clip's appearance must not leak", "motion-inversion.leaks-least"),
        Advice("the camera moves (`debias` = drop_value)", "motion-inversion-camera.motion"),
    ),
}


def filled(readme: str, facts: Facts) -> str:
    """The README with today's texts. Raises FormatError for a mark that there is no text for."""
    return MARKED.sub(lambda mark: f"{mark[1]}{_text(mark[2], facts)}{mark[3]}", readme)


def fill(readme: Path = README, results: Path = RESULTS) -> None:
    """Writes the README anew; raises as `filled`."""
    facts = json.loads(results.read_text(encoding="utf-8"))
    text = filled(readme.read_text(encoding="utf-8"), facts)
    with replacing(readme) as partial:
        partial.write_text(text, encoding="utf-8")


def _text(name: str, facts: Facts) -> str:
    texts: Mapping[str, Callable[[], str]] = {
        "table": lambda: "\n\n" + "\n".join(_table(facts)) + "\n\n",
        "state": lambda: _state(facts),
        "leaks": lambda: _listed(LEAKS, facts),
        "still": lambda: _listed(STILL, facts),
        **{f"use-{method}": lambda m=method: _choices(m, facts) for method in CHOICES},
    }
    if name not in texts:
        raise FormatError(f"README has a mark {name!r}; there are {', '.join(texts)}. Correct it.")
    return texts[name]()


def _table(facts: Facts) -> Iterator[str]:
    """The methods as in their papers and tuned; rows that are not run yet as version 0.1.0 had
    them.
    """
    columns = [f"{base}: {word}" for base in WORDS for word in ("motion", "appearance", "seconds")]
    yield f"| method | settings | {' | '.join(columns)} |"
    yield f"|{'---|' * (2 + len(columns))}"
    for words, variants in (("", (BASE, PRIOR_ALONE)), ("the paper's", PAPERS), ("tuned", TUNED)):
        for variant in variants:
            cells = [_cells(facts, row_name(variant.name, b, MOTION)) for b in BASES]
            name = variant.name.removesuffix("-paper")
            yield f"| {name} | {words} | {' | '.join(cells)} |"


def _cells(facts: Facts, name: str) -> str:
    row, sign = _row(facts, name)
    if row is None:
        return "not run yet | |"
    took = "" if row["train_seconds"] is None else f"{row['train_seconds']:.0f}"
    return f"{_score(row, FIDELITY)}{sign} | {_score(row, APPEARANCE)}{sign} | {took}"


def _row(facts: Facts, name: str) -> tuple[Facts | None, str]:
    """The row, and a sign if it is one of version 0.1.0."""
    for rows, sign in ((facts["rows"], ""), (facts["earlier"]["rows"], " ³")):
        for row in rows:
            if row["name"] == name:
                return row, sign
    return None, ""


def _score(row: Facts, score: str) -> str:
    got = row["scores"][score]
    return f"{got['mean']:.2f} [{got['low']:.2f}, {got['high']:.2f}]"


def _state(facts: Facts) -> str:
    done, planned = facts["trainings"]["done"], facts["trainings"]["planned"]
    return f"{done} of its {planned} trainings have been run"


def _listed(advice: tuple[Advice, ...], facts: Facts) -> str:
    words = [one.words for one in advice if _supported(f"{SHARED}{one.claim}", facts)]
    if not words:
        return "no remedy has been shown to help on the small bases yet"
    return f"helped on the small bases: {'; '.join(words)}"


def _choices(method: str, facts: Facts) -> str:
    words = [one.words for one in CHOICES[method] if _supported(one.claim, facts)]
    return "; ".join(words) or "nothing shown yet"


def _supported(claim: str, facts: Facts) -> bool:
    """Judged on today's rows, or else on those of version 0.1.0."""
    for claims in (facts["claims"], facts["earlier"]["claims"]):
        verdicts = {one["verdict"] for one in claims if one["key"] == claim} - {"not run yet"}
        if verdicts:
            return "holds" in verdicts and "does not hold" not in verdicts
    return False


if __name__ == "__main__":
    fill()
