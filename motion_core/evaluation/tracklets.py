"""Motion fidelity from tracklets: how alike points move in two videos, wherever they are in them.

Input: the tracklets of a reference and of a video, from any tracker. Output: one number in [-1, 1].

Paper: Motion Inversion (2403.20193), Eq. 6, after Yatim et al., Space-Time Diffusion Features
(2311.17009), whose correlation of two tracklets is the mean cosine of their steps, frame by frame.

Deviation: Eq. 6 is the sum of its two directions, between -2 and 2; here it is halved, the scale of
the papers' tables. Yatim's code has one direction only, and takes 1 off the similarity of the n-th
point of the one video to the n-th point of the other; neither is in the equation.

Deviation: a step of no length has no cosine. Steps at which both points rest are left out, where
one of them rests the cosine counts as 0; and tracklets that rest all the time are dropped, or a
still background would match any other, whatever moves in front of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import MotionError

REST = 0.001
"""Steps below this share of the frame's shorter side are at rest: a quarter of a pixel of 256."""
MOVES = 0.03
"""A tracklet moves if it gets this far from where it began, in shares of the shorter side."""
SEEN = 2 / 3
"""Share of the frames in which a tracklet must be seen; any two then share a third of them."""


@dataclass(frozen=True, kw_only=True)
class Tracklets:
    """Points followed through a video.

    points: (N, F, 2) x and y of each point in every frame, in shares of the frame's shorter side,
    so that sizes do not count and directions stay. seen: (N, F) bool; where it is False the
    position means nothing.
    """

    points: np.ndarray
    seen: np.ndarray

    @property
    def frames(self) -> int:
        return self.seen.shape[1]

    def __len__(self) -> int:
        return len(self.points)


def moving(tracklets: Tracklets) -> Tracklets:
    """Those tracklets that are seen in enough frames (`SEEN`) and get further than `MOVES` from the
    first point at which they are."""
    start = tracklets.seen.argmax(axis=1)
    origin = tracklets.points[np.arange(len(tracklets)), start][:, None]
    away = np.linalg.norm(tracklets.points - origin, axis=2) * tracklets.seen
    kept = (away.max(axis=1, initial=0.0) > MOVES) & (tracklets.seen.mean(axis=1) >= SEEN)
    return Tracklets(points=tracklets.points[kept], seen=tracklets.seen[kept])


def correlations(ours: Tracklets, theirs: Tracklets) -> np.ndarray:
    """(N, M) correlation of every tracklet of `ours` with every one of `theirs`, in [-1, 1].

    corr(τ, τ̃) = mean over frames k of v_k·ṽ_k / (|v_k| |ṽ_k|), with v_k = τ_{k+1} - τ_k (Yatim et
    al.), over the steps that both have and at which not both rest; 0 where there is none.
    Raises MotionError for videos of different lengths.
    """
    if ours.frames != theirs.frames:
        raise MotionError(
            f"Tracklets with {ours.frames} and {theirs.frames} frames cannot be compared. Use "
            "the same number of frames from both videos."
        )
    (way, seen, rests), (other_way, other_seen, other_rests) = _steps(ours), _steps(theirs)
    cosines = np.einsum("nkc,mkc->nm", way, other_way)
    counted = seen @ other_seen.T - rests @ other_rests.T
    return cosines / np.maximum(counted, 1)


def motion_fidelity(reference: Tracklets, video: Tracklets) -> float:
    """Half of Eq. 6: each tracklet's best correlation, averaged over both videos, in [-1, 1].

    0 where nothing moves in `video`, which then has no direction. Raises MotionError if nothing
    moves in `reference`, or if the videos differ in length.
    """
    theirs, ours = moving(reference), moving(video)
    matrix = correlations(theirs, ours)
    if len(theirs) == 0:
        raise MotionError(
            "The tracker finds nothing that moves in the reference. Choose another part of it."
        )
    if len(ours) == 0:
        return 0.0
    return float(matrix.max(axis=1).mean() + matrix.max(axis=0).mean()) / 2


def _steps(tracklets: Tracklets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, F-1, 2) unit vectors of the steps, 0 at rest and where unseen; (N, F-1) 1.0 where a step
    is seen; (N, F-1) 1.0 where it is seen to rest."""
    way = np.diff(tracklets.points, axis=1)
    length = np.linalg.norm(way, axis=2)
    seen = tracklets.seen[:, 1:] & tracklets.seen[:, :-1]
    goes = seen & (length > REST)
    unit = np.where(goes[..., None], way / np.where(goes, length, 1.0)[..., None], 0.0)
    return unit, seen.astype(float), (seen & ~goes).astype(float)
