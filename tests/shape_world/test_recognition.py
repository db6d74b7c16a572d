"""The tracker and the appearance classifier against the renderer's truth; scores against values by
hand."""

import dataclasses

import numpy as np
import pytest
import torch

from motion_core.shape_world.appearance import recognise, recognise_frame
from motion_core.shape_world.motions import REFERENCE_MOTIONS
from motion_core.shape_world.renderer import LOOKS, SHAPES, draw_scene, reference_scene, render
from motion_core.shape_world.scores import Subject, motion_fidelity, score_clip
from motion_core.shape_world.tracker import find_object, track


def as_frames(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2) * 2 - 1


@pytest.mark.parametrize("motion", REFERENCE_MOTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_tracks_every_reference_motion_within_half_a_pixel(motion, shape):
    """A triangle has its apex at −1.2 r and its base at 0.96 r, so its centre of mass lies (0.96 +
    0.96 − 1.2)/3 = 0.24 r below its centre; the other shapes are symmetric."""
    scene = reference_scene(motion, shape=shape)
    seen, truth = track(as_frames(render(scene))), scene.track.on_screen()
    expected = truth[:, :2] + np.outer(truth[:, 2], [0, 0.24 if shape == "triangle" else 0])
    assert np.abs(seen[:, :2] - expected).max() < 0.5
    if np.ptp(truth[:, 2]) > 0:
        # A mask counts whole pixels: a cross's twelve edges, along the grid, jump all at once.
        bound = 0.98 if shape == "cross" else 0.99
        assert np.corrcoef(seen[:, 2], truth[:, 2])[0, 1] > bound


@pytest.mark.parametrize("look", LOOKS)
def test_recognises_what_the_renderer_drew(look):
    rng = np.random.default_rng(11)
    right = 0
    for _ in range(150):
        scene = draw_scene(rng, look)
        seen = recognise_frame(render(scene, [7])[0])
        right += seen == (scene.colour, scene.shape, scene.background, look)
    assert right >= 147


def test_an_empty_frame_shows_nothing():
    assert find_object(np.full((64, 64, 3), 0.5)) is None
    assert recognise(torch.zeros(4, 3, 64, 64)).colour == "nothing"


def test_motion_fidelity_is_the_mean_correlation_of_the_moving_coordinates():
    """Reference: x = 0, 4, 8, 12 and y = 0, 8, 0, 8, radius at rest. Ours: x the same, y = 0, 0,
    8, 8.

    corr(x) = 1. For y, deviations (−4, 4, −4, 4) and (−4, −4, 4, 4): products 16, −16, −16, 16 sum
    to 0. Mean (1 + 0) / 2; against −x it is (−1 + 0) / 2; an object at rest scores 0.
    """
    reference = np.array([[0, 0, 9], [4, 8, 9], [8, 0, 9], [12, 8, 9]], dtype=float)
    ours = np.array([[0, 0, 5], [4, 0, 5], [8, 8, 5], [12, 8, 5]], dtype=float)
    assert motion_fidelity(reference, reference) == pytest.approx(1.0)
    assert motion_fidelity(ours, reference) == pytest.approx(0.5)
    assert motion_fidelity(ours * [-1, 1, 1], reference) == pytest.approx(-0.5)
    assert motion_fidelity(np.ones((4, 3)), reference) == 0.0


def test_a_clip_whose_object_is_lost_scores_zero_and_a_short_gap_is_filled():
    """Eight frames on a line: one lost frame is filled to the exact value, three of eight lost
    score 0."""
    line = np.stack([np.arange(8) * 3.0, np.arange(8) * 2.0, np.full(8, 9.0)], axis=1)
    gap, lost = line.copy(), line.copy()
    gap[3], lost[:3] = np.nan, np.nan
    assert motion_fidelity(gap, line) == pytest.approx(1.0)
    assert motion_fidelity(lost, line) == 0.0


def test_score_tells_accuracy_from_leakage():
    worn = Subject(colour="red", shape="circle", background="checkered")
    reference = reference_scene("zigzag")
    truth = reference.track.on_screen()
    asked = Subject(colour="blue", shape="square", background="dotted")
    right = dataclasses.replace(reference, colour="blue", shape="square", background="dotted")
    leaky = dataclasses.replace(right, colour="red")
    good = score_clip(as_frames(render(right)), asked, truth, worn)
    bad = score_clip(as_frames(render(leaky)), asked, truth, worn)
    assert (good.accurate, good.leaks) == (True, False)
    assert (bad.accurate, bad.leaks) == (False, True)
    assert good.motion_fidelity > 0.99


def test_an_object_that_fills_the_picture_leaves_no_background_to_see():
    """All red: the mask is the picture, of radius √(64²/π) = 36 about its centre, and no corner is
    further than 1.8·36 from there."""
    red = np.zeros((64, 64, 3), np.float32)
    red[..., 0] = 1.0
    seen = recognise_frame(red)
    assert (seen.colour, seen.background, seen.look) == ("red", "nothing", "nothing")
