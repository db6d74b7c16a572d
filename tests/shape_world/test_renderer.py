"""The renderer against values worked out by hand, and its determinism."""

import numpy as np
import pytest

from motion_core.shape_world.motions import (
    FRAMES,
    REFERENCE_MOTIONS,
    draw_base_motion,
    reference_motion,
)
from motion_core.shape_world.renderer import (
    BACKGROUNDS,
    COLOURS,
    SHAPES,
    draw_scene,
    reference_scene,
    render,
)


def test_zigzag_by_hand():
    """x runs evenly from 14 to 50; y is a triangle wave of two periods: 47 at times 0, 1/2 and 1
    (time = f/15).

    At time 0 the triangle is 2|2·0 − 1| − 1 = 1, so y = 32 + 15. At f = 5, time 1/3: 2·(1/3) mod 1
    = 2/3, 2·|4/3 − 1| − 1 = −1/3, so y = 32 − 5 = 27.
    """
    _, track = reference_motion("zigzag")
    np.testing.assert_allclose(track.positions[0], [14, 47])
    np.testing.assert_allclose(track.positions[5], [14 + 12, 27])
    np.testing.assert_allclose(track.positions[-1], [50, 47])


def test_bounce_falls_with_constant_acceleration():
    """Between floor contacts the second difference of y is constant: gravity.

    y = 50 − 140·u(1−u), u = 2t + 1/2 mod 1, so y'' = 280·4 pixels per clip² and the second
    difference at steps of 1/15 is 1120/225.
    """
    _, track = reference_motion("bounce")
    y = track.positions[:, 1]
    np.testing.assert_allclose(np.diff(y[4:12], 2), 1120 / 225, rtol=1e-9)
    assert y.max() <= 50


def test_camera_pan_moves_the_background_and_the_object_alike():
    scene = reference_scene("camera-pan", background="checkered")
    frames = render(scene)
    shift = scene.track.pan[2, 0] - scene.track.pan[0, 0]
    whole = round(shift)
    moved = render(scene, [0])[0][:, : 64 - whole]
    difference = np.abs(frames[2][:, whole:] - moved).mean()
    assert difference < 0.05
    assert np.abs(frames[2] - frames[0]).mean() > 0.1


def test_a_circle_covers_its_area():
    """A circle of radius 11 covers 121π = 380.13 pixels: red minus background over their contrast,
    summed."""
    scene = reference_scene("zigzag", background="white")
    image = render(scene, [4])[0]
    behind = np.array(BACKGROUNDS["white"][0])
    share = (image - behind)[..., 2] / (np.array(COLOURS["red"]) - behind)[2]
    assert share.sum() == pytest.approx(121 * np.pi, rel=0.01)


def test_rendering_is_deterministic_and_in_range():
    first, second = (render(draw_scene(np.random.default_rng(3))) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (FRAMES, 64, 64, 3)
    assert first.min() >= 0
    assert first.max() <= 1


def test_base_motions_stay_in_the_frame_and_never_change_size():
    rng = np.random.default_rng(0)
    for _ in range(200):
        _, track = draw_base_motion(rng)
        assert track.on_screen()[:, :2].min() >= 13.9
        assert track.on_screen()[:, :2].max() <= 50.1
        assert np.ptp(track.radii) == 0
        assert np.ptp(track.pan) == 0
        assert np.ptp(track.zoom) == 0


def test_the_world_is_as_large_as_promised():
    assert len(SHAPES) >= 4
    assert len(COLOURS) >= 8
    assert len(BACKGROUNDS) >= 6
    assert len(REFERENCE_MOTIONS) >= 6
