"""The whole way at full size, with random weights, on a CPU: `pytest -m fullsize`.

About a minute and several gigabytes of memory for each base; not in the default run.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet3DConditionModel, UNetMotionModel
from open_clip.tokenizer import SimpleTokenizer
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from motion_core.backbones.animatediff import AnimateDiff
from motion_core.backbones.base import Backbone
from motion_core.backbones.files.architecture import ANIMATEDIFF_SCHEDULER, ZEROSCOPE_SCHEDULER
from motion_core.backbones.files.components import load_scheduler
from motion_core.backbones.text import TextEncoder
from motion_core.backbones.zeroscope import ZeroScope
from motion_core.diffusion.encoding import encode_clip
from motion_core.methods.motion_director import MotionDirector
from motion_core.shape_world.motions import FRAMES
from motion_core.shape_world.renderer import reference_scene, render
from motion_core.training.settings import TrainSettings
from motion_core.training.trainer import train
from motion_core.video.clips import clips_from_frames
from motion_core.video.settings import ClipSettings

pytestmark = [pytest.mark.fullsize, pytest.mark.timeout(1800)]


def random_weights(build) -> nn.Module:
    """The module with small random weights, without its own initialisation, which takes minutes."""
    with torch.device("meta"):
        module = build()
    module.to_empty(device="cpu")
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            tensor.data.fill_(0.01) if tensor.ndim < 2 else tensor.data.normal_(0, 0.02)
        else:
            tensor.data.copy_(torch.arange(tensor.shape[-1]).expand(tensor.shape))
    return module


def vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
    )


def text(width: int, layers: int, pad_token: int) -> TextEncoder:
    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
    )
    model = random_weights(lambda: CLIPTextModel(config))
    return TextEncoder(model=model, tokenizer=SimpleTokenizer(), pad_token=pad_token)


def animatediff() -> AnimateDiff:
    return AnimateDiff(
        network=random_weights(
            lambda: UNetMotionModel(cross_attention_dim=768, use_motion_mid_block=False)
        ),
        vae=random_weights(vae),
        text=text(768, 12, 49407),
        scheduler=load_scheduler(ANIMATEDIFF_SCHEDULER),
        version="animatediff-sd15-v3",
        licence="random weights",
    )


def zeroscope() -> ZeroScope:
    return ZeroScope(
        network=random_weights(
            lambda: UNet3DConditionModel(cross_attention_dim=1024, attention_head_dim=64)
        ),
        vae=random_weights(vae),
        text=text(1024, 23, 0),
        scheduler=load_scheduler(ZEROSCOPE_SCHEDULER),
        version="zeroscope",
        licence="random weights",
    )


@pytest.mark.parametrize("build", [animatediff, zeroscope])
def test_two_steps_of_sixteen_frames(build, tmp_path: Path):
    """16 frames of 64x64 pixels, two steps of MotionDirector at rank 32, weights in bfloat16.

    B starts at zero, so that after one step of Adam (whose first step has the size of the learning
    rate, 5e-4) every trained B differs from zero and stays within 2 x 5e-4 of it.
    """
    backbone: Backbone = build()
    frames = torch.from_numpy(render(reference_scene("zigzag")))
    settings = ClipSettings(frames=FRAMES, width=64, height=64)
    clip = encode_clip(backbone, clips_from_frames(frames, 8.0, "a red circle", settings)[0])
    result = train(
        backbone,
        [clip],
        MotionDirector(),
        TrainSettings(steps=2, precision="bf16", save_every=0),
        tmp_path,
    )
    temporal = result.adapters["temporal"].state_dict()
    ups = [tensor for name, tensor in temporal.items() if ".up." in name or "lora_B" in name]
    assert len(ups) == len(backbone.sites("temporal"))
    assert all(0 < float(up.abs().max()) <= 1.1e-3 for up in ups)
    assert backbone.family == result.adapters["temporal"].family
