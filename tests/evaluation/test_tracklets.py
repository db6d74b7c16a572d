"""Eq. 6 of Motion Inversion on tracklets made by hand, with values worked out by hand.

A tracklet is written by its steps. Its correlation with another one is the mean cosine of their
steps: 1 for the same direction, 0 for a right angle, -1 for the opposite one.
"""

from __future__ import annotations

import numpy as np
import pytest

from motion_core.errors import MotionError
from motion_core.evaluation.tracklets import Tracklets, correlations, motion_fidelity, moving

RIGHT, LEFT, DOWN, STILL = (0.1, 0.0), (-0.1, 0.0), (0.0, 0.1), (0.0, 0.0)


def tracklets(*steps: list[tuple[float, float]]) -> Tracklets:
    """All seen, each from another place."""
    starts = np.arange(len(steps)).reshape(-1, 1, 1) * np.ones((1, 1, 2))
    points = np.concatenate([starts, starts + np.cumsum(np.array(steps), axis=1)], axis=1)
    return Tracklets(points=points, seen=np.ones(points.shape[:2], bool))


def test_correlation_is_the_mean_cosine_of_the_steps() -> None:
    """(1, 0)·(0, 1) = 0 and (1, 0)·(1, 0) = 1: their mean is 1/2. (0.1, 0.1) has cosine 1/√2 with
    both. How long the steps are, and where they are, does not count."""
    ours = tracklets([RIGHT, RIGHT])
    theirs = tracklets([DOWN, (0.5, 0.0)], [(0.1, 0.1), (0.1, 0.1)], [LEFT, LEFT])
    assert correlations(ours, theirs)[0] == pytest.approx([0.5, 2**-0.5, -1.0])


def test_both_directions_count() -> None:
    """Reference: right, down. Video: right alone.

    corr = [1, 0]ᵀ. Each of the reference: (1 + 0)/2 = 1/2; each of the video: max(1, 0) = 1. Eq. 6
    is 3/2, its half 3/4. With another one to the left, corr = [[1, -1], [0, 0]]: the reference's
    best are 1 and 0, the video's 1 and 0, and half of 1/2 + 1/2 is 1/2.
    """
    reference = tracklets([RIGHT] * 3, [DOWN] * 3)
    assert motion_fidelity(reference, tracklets([RIGHT] * 3)) == pytest.approx(0.75)
    assert motion_fidelity(reference, tracklets([RIGHT] * 3, [LEFT] * 3)) == pytest.approx(0.5)


def test_same_and_opposite_motion_are_the_ends_of_the_scale() -> None:
    there, back = tracklets([RIGHT, DOWN]), tracklets([LEFT, (0.0, -0.1)])
    assert motion_fidelity(there, there) == pytest.approx(1.0)
    assert motion_fidelity(there, back) == pytest.approx(-1.0)


def test_a_still_background_changes_nothing() -> None:
    """Without dropping it, a still tracklet in both would be a perfect match: (1 - 1)/2 = 0."""
    reference = tracklets([RIGHT, RIGHT], [STILL, STILL])
    video = tracklets([LEFT, LEFT], [STILL, STILL])
    assert len(moving(reference)) == 1
    assert motion_fidelity(reference, video) == pytest.approx(-1.0)


def test_steps_at_rest() -> None:
    """Right, rest, right against right, rest, down: the second step counts for neither, so that
    (1 + 0)/2; against right, down, right one rests and one does not: (1 + 0 + 1)/3."""
    ours = tracklets([RIGHT, STILL, RIGHT])
    theirs = tracklets([RIGHT, STILL, DOWN], [RIGHT, DOWN, RIGHT])
    assert correlations(ours, theirs)[0] == pytest.approx([1 / 2, 2 / 3])


def test_only_steps_that_both_have_count() -> None:
    """Right, right, right, hidden in the last frame, against right, down, left: (1 + 0)/2. Hidden
    in all but one frame, no step is left: 0."""
    seen = np.array([[True, True, True, False], [True, False, False, False]])
    ours = Tracklets(points=tracklets([RIGHT] * 3, [RIGHT] * 3).points, seen=seen)
    theirs = tracklets([RIGHT, DOWN, LEFT])
    assert correlations(ours, theirs)[:, 0] == pytest.approx([0.5, 0.0])


def test_what_is_hidden_does_not_move() -> None:
    """It goes right by 0.1 in a frame in which it is not seen, and is back in the next."""
    points = tracklets([RIGHT, LEFT]).points
    shown, hidden = np.array([[True] * 3]), np.array([[True, False, True]])
    assert len(moving(Tracklets(points=points, seen=shown))) == 1
    assert len(moving(Tracklets(points=points, seen=hidden))) == 0


def test_what_is_seldom_seen_does_not_count() -> None:
    """Seen in two frames of three it counts, in one of three it does not."""
    points = tracklets([RIGHT, RIGHT], [RIGHT, RIGHT]).points
    seen = np.array([[True, True, False], [True, False, False]])
    assert len(moving(Tracklets(points=points, seen=seen))) == 1


def test_nothing_moves() -> None:
    reference = tracklets([RIGHT, RIGHT])
    none = Tracklets(points=np.zeros((0, 3, 2)), seen=np.zeros((0, 3), bool))
    assert motion_fidelity(reference, tracklets([STILL, STILL])) == 0.0
    assert motion_fidelity(reference, none) == 0.0
    with pytest.raises(MotionError, match="finds nothing that moves in the reference"):
        motion_fidelity(tracklets([STILL, STILL]), reference)


def test_videos_of_different_lengths() -> None:
    with pytest.raises(MotionError, match="Tracklets with 3 and 4 frames"):
        motion_fidelity(tracklets([RIGHT] * 2), tracklets([RIGHT] * 3))
