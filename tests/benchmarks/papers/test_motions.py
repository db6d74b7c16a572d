"""The benchmark's own motions: they stay in the picture, can be followed, and are like no other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.papers.motions import HELD_OUT, scene_of, worn_in
from benchmarks.papers.plans import default_plan
from benchmarks.papers.rows import BASES
from benchmarks.papers.subjects import DEVELOPMENT
from motion_core.cli.demo_run import SUBJECTS
from motion_core.shape_world.motions import REFERENCE_MOTIONS, SIZE
from motion_core.shape_world.references import WORN, reference
from motion_core.shape_world.renderer import render
from motion_core.shape_world.scores import motion_fidelity
from motion_core.shape_world.tracker import track

REACH = 1.15
"""The cross is the widest shape: 1.15 radii from its centre to the end of an arm."""


def test_the_pendulum_in_numbers() -> None:
    """x = 32 + 26 sin a, y = 12 + 26 cos a, with a = 0.9 (1 - 0.3 t) cos 3 pi t: from 0.9 at t = 0
    to -0.63 at t = 1."""
    path = scene_of("pendulum").track.on_screen()
    assert path[0] == pytest.approx([32 + 26 * 0.78333, 12 + 26 * 0.62161, 10], abs=1e-3)
    assert path[-1] == pytest.approx([32 - 26 * 0.58914, 12 + 26 * 0.80803, 10], abs=1e-3)


def test_the_heartbeat_in_numbers() -> None:
    """At t = 2/15 the phase 4 pi t is 96 degrees: radius 10 + 4 sin 96."""
    path = scene_of("heartbeat").track.on_screen()
    assert path[0] == pytest.approx([18, 46, 10])
    assert path[2] == pytest.approx([18 + 28 * 2 / 15, 46 - 28 * 2 / 15, 13.97809], abs=1e-4)
    assert path[-1] == pytest.approx([46, 18, 10])


@pytest.mark.parametrize("motion", HELD_OUT)
def test_it_stays_in_the_picture_and_can_be_followed(motion: str) -> None:
    scene = scene_of(motion)
    truth = scene.track.on_screen()
    edges = truth[:, :2], REACH * truth[:, 2:]
    assert (edges[0] - edges[1]).min() > 0 and (edges[0] + edges[1]).max() < SIZE
    frames = torch.from_numpy(render(scene)).permute(0, 3, 1, 2) * 2 - 1
    assert motion_fidelity(track(frames), truth) > 0.98


@pytest.mark.parametrize("motion", HELD_OUT)
def test_no_reference_motion_moves_alike(motion: str) -> None:
    truth = scene_of(motion).track.on_screen()
    for other in REFERENCE_MOTIONS:
        assert motion_fidelity(reference(other).track.on_screen(), truth) < 0.7, other


@pytest.mark.parametrize("motion", HELD_OUT)
def test_nobody_known_wears_it(motion: str) -> None:
    assert worn_in(motion) not in {*DEVELOPMENT, *SUBJECTS, *WORN.values()}


def test_each_method_is_measured_on_both_bases_with_24_prompts() -> None:
    rows = [row for row in default_plan().rows if row.motion in HELD_OUT]
    assert {(row.backbone, row.motion) for row in rows} == {
        (base, motion) for base in BASES for motion in HELD_OUT
    }
    methods = {row.variant.method for row in rows}
    assert methods == {None, "motion_director", "motion_crafter", "motion_inversion", "motrans"}
    assert len(rows) == 2 * 2 * 5 and {row.variant.prompts for row in rows} == {24}


def test_a_motion_that_is_not_held_out_is_the_reference() -> None:
    ours, theirs = scene_of("zigzag"), reference("zigzag")
    assert ours.prompt == theirs.prompt
    assert np.array_equal(ours.track.on_screen(), theirs.track.on_screen())
