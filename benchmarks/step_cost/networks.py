"""The bases at full size on torch's meta device: shapes without numbers, made in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from diffusers import AutoencoderKL, UNet3DConditionModel, UNetMotionModel
from open_clip.tokenizer import SimpleTokenizer
from transformers import CLIPTextConfig, CLIPTextModel

from motion_core.backbones.animatediff import AnimateDiff
from motion_core.backbones.base import Family
from motion_core.backbones.files.architecture import ANIMATEDIFF_SCHEDULER, ZEROSCOPE_SCHEDULER
from motion_core.backbones.files.components import load_scheduler
from motion_core.backbones.frame_norms import normalise_as_version
from motion_core.backbones.temporal import skip_single_frames
from motion_core.backbones.text import TextEncoder
from motion_core.backbones.zeroscope import ZeroScope

ANIMATEDIFF_VERSION = "animatediff-sd15-v3"
PROMPT_WIDTH = {"animatediff": 768, "zeroscope": 1024}
PROMPT_TOKENS = 77

FullSize = AnimateDiff | ZeroScope


def full_size_unet(family: Family, dtype: torch.dtype) -> UNetMotionModel | UNet3DConditionModel:
    """The family's UNet, frozen, in eval mode."""
    with _default_dtype(dtype), torch.device("meta"):
        if family == "animatediff":
            unet = UNetMotionModel(
                cross_attention_dim=PROMPT_WIDTH[family], use_motion_mid_block=False
            )
            normalise_as_version(unet, ANIMATEDIFF_VERSION)
        else:
            unet = UNet3DConditionModel(
                cross_attention_dim=PROMPT_WIDTH[family], attention_head_dim=64
            )
    skip_single_frames(unet)
    unet.eval().requires_grad_(False)
    return unet


def full_size_base(family: Family, dtype: torch.dtype) -> FullSize:
    """The family's base. Its VAE and text encoder, which no step runs, are small."""
    unet = full_size_unet(family, dtype)
    with torch.device("meta"):
        vae = AutoencoderKL(
            block_out_channels=(32,) * 4,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
        )
        text = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=49408,
                hidden_size=PROMPT_WIDTH[family],
                intermediate_size=64,
                num_hidden_layers=1,
                num_attention_heads=PROMPT_WIDTH[family] // 64,
            )
        )
    encoder = TextEncoder(model=text, tokenizer=SimpleTokenizer(), pad_token=0)
    if isinstance(unet, UNetMotionModel):
        return AnimateDiff(
            network=unet,
            vae=vae,
            text=encoder,
            scheduler=load_scheduler(ANIMATEDIFF_SCHEDULER),
            version=ANIMATEDIFF_VERSION,
            licence="no weights",
        )
    return ZeroScope(
        network=unet,
        vae=vae,
        text=encoder,
        scheduler=load_scheduler(ZEROSCOPE_SCHEDULER),
        version="zeroscope",
        licence="no weights",
    )


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
