"""Scores of generated shape world clips: does it move as the reference does, does it look as the
prompt says, and does it look as the reference where the prompt says otherwise.

All three are read from pixels; nothing here knows how a clip was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from .appearance import Appearance, recognise
from .renderer import caption
from .tracker import track

MOVES = 1.0
"""Pixels of standard deviation above which a coordinate counts as moving."""
SEEN = 0.75
"""Share of the frames in which the object must be found."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a prompt asks for, in shape world's words."""

    colour: str
    shape: str
    background: str

    def prompt(self, phrase: str) -> str:
        return caption(self.colour, self.shape, self.background, phrase)


def motion_fidelity(path: np.ndarray, reference: np.ndarray) -> float:
    """How alike two tracks (F, 3) of x, y and radius move, in [-1, 1].

    The mean, over those coordinates that move in the reference (standard deviation above 1 pixel),
    of Pearson's correlation over time. 0 for a coordinate that stands still in `path`, and for a
    clip whose object is found in less than three quarters of the frames; single missing frames are
    filled in linearly.
    """
    found = np.isfinite(path[:, 0])
    if found.mean() < SEEN:
        return 0.0
    times = np.arange(len(path))
    filled = np.stack([np.interp(times, times[found], column[found]) for column in path.T], axis=1)
    moving = reference.std(axis=0) > MOVES
    pairs = zip(filled.T[moving], reference.T[moving], strict=True)
    return float(np.mean([_correlation(ours, theirs) for ours, theirs in pairs]))


def _correlation(ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.std() < MOVES:
        return 0.0
    return float(np.corrcoef(ours, theirs)[0, 1])


@dataclass(frozen=True, kw_only=True)
class ClipScore:
    """One clip's scores. accurate: colour, shape and background all as asked. leaks: colour or
    shape of the reference where another was asked. outlined: seen in the personalised checkpoint's
    look.
    """

    motion_fidelity: float
    accurate: bool
    leaks: bool
    outlined: bool
    seen: Appearance


def score_clip(frames: Tensor, asked: Subject, reference: np.ndarray, worn: Subject) -> ClipScore:
    """Scores frames (F, 3, 64, 64) in [-1, 1] against the subject asked for, and against the
    reference's track (F, 3) and the subject that it wore."""
    seen = recognise(frames)
    return ClipScore(
        motion_fidelity=motion_fidelity(track(frames), reference),
        accurate=(seen.colour, seen.shape, seen.background)
        == (asked.colour, asked.shape, asked.background),
        leaks=(seen.colour == worn.colour != asked.colour)
        or (seen.shape == worn.shape != asked.shape),
        outlined=seen.look == "outlined",
        seen=seen,
    )


def summary(scores: Sequence[ClipScore]) -> dict[str, float]:
    """Means over clips: motion_fidelity, appearance_accuracy, leakage, outlined."""
    return {
        "motion_fidelity": float(np.mean([score.motion_fidelity for score in scores])),
        "appearance_accuracy": float(np.mean([score.accurate for score in scores])),
        "leakage": float(np.mean([score.leaks for score in scores])),
        "outlined": float(np.mean([score.outlined for score in scores])),
    }
