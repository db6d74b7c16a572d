"""Sample Motion Clip draws what shape world's renderer draws, and says it in its words."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from motion_adapters.nodes.clips import MotionClip
from motion_adapters.nodes.sample_clip import SampleMotionClip

from motion_core.shape_world.motions import REFERENCE_MOTIONS
from motion_core.shape_world.renderer import LOOKS, reference_scene, render
from tests.comfyui.inside.called import called

SUBJECT = {"colour": "orange", "shape": "square", "background": "dotted"}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("motion", REFERENCE_MOTIONS)
def test_a_motion_is_drawn(motion: str, look: str) -> None:
    video, picture, prompt = called(SampleMotionClip, motion=motion, look=look, **SUBJECT).args
    parts = video.get_components()
    scene = dataclasses.replace(reference_scene(motion, **SUBJECT), look=look)
    assert torch.equal(parts.images, torch.from_numpy(render(scene)))
    assert float(parts.frame_rate) == 8.0
    assert torch.equal(picture, parts.images[:1])
    assert prompt.startswith("an orange square ") and prompt.endswith(" on a dotted background")


def test_its_outputs_are_clips_and_images() -> None:
    video, picture, prompt = called(SampleMotionClip, motion="bounce", look="solid", **SUBJECT).args
    size = {"frames": 16, "width": 64, "height": 64, "fps": 8.0}
    clip = called(MotionClip, video=video, prompt=prompt, **size).args[0][0]
    assert clip.frames.shape == (16, 3, 64, 64) and not clip.is_image
    assert called(MotionClip, video=picture, prompt=prompt, **size).args[0][0].is_image
