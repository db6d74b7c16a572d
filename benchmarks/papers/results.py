"""What one row of the benchmark came out as: every clip's scores, and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from motion_core.shape_world.scores import ClipScore

from .intervals import Interval, bootstrap

FIDELITY, APPEARANCE, LEAKAGE = "motion_fidelity", "appearance_accuracy", "leakage"
SCORES = (FIDELITY, APPEARANCE, LEAKAGE)
WORDS = {FIDELITY: "motion fidelity", APPEARANCE: "appearance accuracy", LEAKAGE: "leakage"}


@dataclass(frozen=True, kw_only=True)
class ClipRecord:
    """One clip. motion_fidelity: -1 to 1. appearance_accuracy, leakage: 0 or 1. seen: colour,
    shape, background and look as recognised in its pixels.
    """

    prompt: str
    seed: int
    motion_fidelity: float
    appearance_accuracy: float
    leakage: float
    seen: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """A measured row.

    settings: tables "objective", "train", "options" and "sample", as plain values. clips: by prompt
    and seed. train_seconds: spent in training steps, None for a base without adapter; of one
    training that several rows share it is the whole. parameters: trained, by adapter.
    """

    name: str
    settings: Mapping[str, Any]
    clips: Sequence[ClipRecord]
    train_seconds: float | None
    sample_seconds: float
    parameters: Mapping[str, int]

    def values(self, score: str) -> dict[tuple[str, int], float]:
        """A score of every clip, by its prompt and seed."""
        return {(clip.prompt, clip.seed): getattr(clip, score) for clip in self.clips}

    def interval(self, score: str) -> Interval:
        return bootstrap(list(self.values(score).values()))


Results = Mapping[str, RowResult]
"""By the rows' names."""


def clip_record(prompt: str, seed: int, score: ClipScore) -> ClipRecord:
    return ClipRecord(
        prompt=prompt,
        seed=seed,
        motion_fidelity=score.motion_fidelity,
        appearance_accuracy=float(score.accurate),
        leakage=float(score.leaks),
        seen=score.seen._asdict(),
    )


def to_plain(result: RowResult) -> dict[str, Any]:
    """The result for JSON; `from_plain` reads it back."""
    return {**vars(result), "clips": [vars(clip) for clip in result.clips]}


def from_plain(plain: Mapping[str, Any]) -> RowResult:
    return RowResult(**{**plain, "clips": tuple(ClipRecord(**clip) for clip in plain["clips"])})
