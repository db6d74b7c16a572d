"""Tracklet motion fidelity as a metric of an evaluation: a tracker, and the reference's tracklets.

Input: a reference video. Output: a scorer; see `tracklets` for the equation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..errors import ClipError
from .base import POINTS, Metric, Subject
from .tracklets import Tracklets, motion_fidelity, moving
from .videos import Video

METRICS = {
    "motion_fidelity_tracklets": Metric(
        title="motion (tracklets)",
        meaning="points move as in the reference",
        scale="-1..1",
        source="Motion Inversion, Eq. 6 halved, with Yatim et al.'s correlation",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Tracker:
    """name: for the record. track: tracklets of frames (F, 3, H, W) in [-1, 1]."""

    name: str
    track: Callable[[Tensor], Tracklets]


@dataclass(frozen=True, kw_only=True)
class TrackletScorer:
    """reference: its tracklets, some of which move. source: its name."""

    tracker: Tracker
    reference: Tracklets
    source: str

    @property
    def model(self) -> str:
        return f"tracklets by {self.tracker.name}"

    @property
    def reference_points(self) -> int:
        """How many moving points of the reference were followed."""
        return len(moving(self.reference))

    def score(self, subject: Subject) -> dict[str, float]:
        """Raises ClipError for a video of another length than the reference's."""
        video = subject.video
        require_same_length(video.name, len(video.frames), self.source, self.reference.frames)
        tracklets = self.tracker.track(video.frames)
        fidelity = motion_fidelity(self.reference, tracklets)
        return {"motion_fidelity_tracklets": fidelity, POINTS: len(moving(tracklets))}


def tracklet_scorer(tracker: Tracker, reference: Video) -> TrackletScorer | None:
    """A scorer against one reference; None where nothing moves in it that can be followed."""
    tracklets = tracker.track(reference.frames)
    if len(moving(tracklets)) == 0:
        return None
    return TrackletScorer(tracker=tracker, reference=tracklets, source=reference.name)


def require_same_length(video: str, frames: int, reference: str, reference_frames: int) -> None:
    """Raises ClipError if a video has more or fewer frames than its reference."""
    if frames != reference_frames:
        raise ClipError(
            f"{video} has {frames} frames and the reference {reference} has {reference_frames}; "
            "tracklets need the same number. Set frames, and fps if the frame rates differ."
        )
