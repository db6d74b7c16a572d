"""Whose frames a motion module's group norm takes together.

With the attention's outputs zeroed, nothing but that norm can carry anything from one frame to
another: what frame 1 becomes depends on frame 0 exactly if the norm sees both.
"""

from __future__ import annotations

import pytest
import torch
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import Tensor

from motion_core.backbones.temporal import normalise_as_original, skip_single_frames
from motion_core.shape_world.base import load_shape_world
from tests.tiny import tiny_animatediff

FRAMES = 3


def a_module(original: bool) -> AnimateDiffTransformer3D:
    torch.manual_seed(0)
    module = AnimateDiffTransformer3D(2, 4, in_channels=8, norm_num_groups=4).eval()
    skip_single_frames(module)
    if original:
        normalise_as_original(module)
    return module


def run(module: AnimateDiffTransformer3D, video: Tensor) -> Tensor:
    with torch.no_grad():
        return module(video, num_frames=FRAMES)


@pytest.mark.parametrize("original", [True, False])
def test_a_frame_is_normalised_alone_or_with_the_others(original: bool) -> None:
    module = a_module(original)
    for attention in (module.transformer_blocks[0].attn1, module.transformer_blocks[0].attn2):
        torch.nn.init.zeros_(attention.to_out[0].weight)
        torch.nn.init.zeros_(attention.to_out[0].bias)
    video = torch.randn(2 * FRAMES, 8, 4, 5)
    other = video.clone()
    other[0] *= 3.0  # frame 0 of the first of two videos
    before, after = run(module, video), run(module, other)
    assert not torch.equal(before[0], after[0])
    assert torch.equal(before[1:FRAMES], after[1:FRAMES]) == original
    assert torch.equal(before[FRAMES:], after[FRAMES:])


def test_of_equal_frames_both_make_the_same() -> None:
    """Mean and variance over equal frames are those of one."""
    video = torch.randn(2, 1, 8, 4, 5).expand(2, FRAMES, 8, 4, 5).flatten(0, 1)
    ours, theirs = run(a_module(True), video), run(a_module(False), video)
    assert not torch.equal(ours, video)
    torch.testing.assert_close(ours, theirs)


def test_the_authors_versions_normalise_as_they_do_and_shape_world_as_it_was_trained() -> None:
    kinds = [
        {type(m).__name__ for m in unet.modules() if isinstance(m, AnimateDiffTransformer3D)}
        for unet in (
            tiny_animatediff().network,
            load_shape_world("shape-world-animatediff").network,
        )
    ]
    assert kinds == [{"OriginalMotionModule"}, {"SkippingMotionModule"}]
