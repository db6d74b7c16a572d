"""Which parameters are temporal, which lie deep, at the sizes of the papers and of the tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from diffusers import UNet3DConditionModel, UNetMotionModel
from torch import nn

from motion_core.backbones.base import Backbone
from motion_core.backbones.depth import (
    in_blocks,
    spatial_attention_parameter_names,
    temporal_parameter_names,
)
from motion_core.backbones.sites import blocks_of
from tests.tiny import tiny_animatediff, tiny_zeroscope

DEEP_OF_FOUR = ["down_blocks.2", "down_blocks.3", "mid_block", "up_blocks.0", "up_blocks.1"]
DEEP_OF_TWO = ["down_blocks.1", "mid_block", "up_blocks.0"]


def zeroscope() -> nn.Module:
    with torch.device("meta"):
        return UNet3DConditionModel(attention_head_dim=64, cross_attention_dim=1024)


def animatediff() -> nn.Module:
    with torch.device("meta"):
        return UNetMotionModel(use_motion_mid_block=True, cross_attention_dim=768)


@pytest.mark.parametrize("make", [zeroscope, animatediff])
def test_deep_blocks_at_full_size(make: Callable[[], nn.Module]) -> None:
    """MotionCrafter v2 on ZeroScope: down 2 and 3, mid, up 0 and 1; AnimateDiff at the same
    depths.
    """
    unet = make()
    names = temporal_parameter_names(unet)
    deep = in_blocks(names, "deep", unet)
    assert sorted(blocks_of(deep)) == DEEP_OF_FOUR
    assert in_blocks(names, "all", unet) == names
    blocks = {"down_blocks.0", "down_blocks.1", "up_blocks.2", "up_blocks.3", *DEEP_OF_FOUR}
    assert set(blocks_of(names)) - {"transformer_in"} == blocks


@pytest.mark.parametrize("make", [tiny_animatediff, tiny_zeroscope])
def test_deep_blocks_of_two_levels(make: Callable[[], Backbone]) -> None:
    unet = make().network
    assert sorted(blocks_of(in_blocks(temporal_parameter_names(unet), "deep", unet))) == DEEP_OF_TWO


def test_temporal_parameters_are_named_as_the_library_names_its_modules() -> None:
    """By name alone: "motion_modules" in AnimateDiff; the temporal attention, `transformer_in` and
    the temporal convolutions in ZeroScope.
    """
    marks = {"temp_attentions", "transformer_in", "temp_convs"}
    for unet, known in ((animatediff(), {"motion_modules"}), (zeroscope(), marks)):
        expected = [n for n, _ in unet.named_parameters() if known & set(n.split("."))]
        assert sorted(temporal_parameter_names(unet)) == sorted(expected)


def test_spatial_attention_is_attn1_of_the_spatial_transformers() -> None:
    """At width d an attention has q, k, v without bias and out with one: 4 d² + d. ZeroScope has
    16 spatial transformers: 5 of 320, 5 of 640 and 6 of 1280.
    """
    unet = zeroscope()
    names = spatial_attention_parameter_names(unet)
    count = sum(unet.get_parameter(name).numel() for name in names)
    widths = {320: 5, 640: 5, 1280: 6}
    assert count == sum(number * (4 * d * d + d) for d, number in widths.items())
    assert len(names) == 16 * 5
