"""OpenCV's tracklets on rendered clips, whose motion is known exactly."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from motion_core.evaluation.opencv_tracker import track
from motion_core.evaluation.tracklets import motion_fidelity, moving
from motion_core.shape_world.motions import CENTRE, SIZE
from motion_core.shape_world.renderer import Scene, reference_scene, render


def frames(scene: Scene) -> Tensor:
    return torch.from_numpy(render(scene)).permute(0, 3, 1, 2) * 2 - 1


def reversed_motion(scene: Scene) -> Scene:
    """Every step goes the other way: the track mirrored at the frame's centre."""
    track = scene.track
    mirrored = dataclasses.replace(track, positions=2 * CENTRE - track.positions, pan=-track.pan)
    return dataclasses.replace(scene, track=mirrored)


@pytest.mark.parametrize("motion", ["zigzag", "spiral", "bounce"])
def test_the_same_motion_scores_high_and_the_opposite_one_low(motion: str) -> None:
    """Other colour, shape and background, so that only the motion is the same."""
    reference = track(frames(reference_scene(motion, "red", "square", "grey")))
    other = reference_scene(motion, "green", "cross", "white")
    assert motion_fidelity(reference, track(frames(other))) > 0.9
    assert motion_fidelity(reference, track(frames(reversed_motion(other)))) < -0.9


def test_a_moving_camera() -> None:
    """The whole textured background moves."""
    reference = track(frames(reference_scene("camera-pan", "blue", "square", "checkered")))
    other = reference_scene("camera-pan", "red", "cross", "dotted")
    assert motion_fidelity(reference, track(frames(other))) > 0.9
    assert motion_fidelity(reference, track(frames(reversed_motion(other)))) < 0


def test_points_go_where_the_object_goes() -> None:
    """A cross's corners are as far from its centre in all frames: their mean way is its own."""
    scene = reference_scene("figure-eight", "red", "cross", "grey")
    found = moving(track(frames(scene)))
    whole = found.seen.all(axis=1)
    assert whole.sum() >= 8
    way = found.points[whole] - found.points[whole][:, :1]
    truth = scene.track.positions - scene.track.positions[:1]
    assert np.abs(way * SIZE - truth).max() < 1.5


def test_the_size_of_the_video_does_not_count() -> None:
    clip = frames(reference_scene("spiral", "red", "square", "grey"))
    large = F.interpolate(clip, scale_factor=3, mode="bicubic").clamp(-1, 1)
    assert motion_fidelity(track(clip), track(large)) > 0.98


def test_nothing_to_follow() -> None:
    found = track(torch.zeros(4, 3, 32, 48))
    assert (len(found), found.frames) == (0, 4)
