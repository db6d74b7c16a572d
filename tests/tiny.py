"""Both backbones as real classes at tiny size, with random weights and the CLIP tokenizer.

Every parameter that a library starts at zero (the last temporal convolutions, say) is drawn at
random too, so that each module changes the output and a test that skips or doubles one fails.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    UNet2DConditionModel,
    UNet3DConditionModel,
    UNetMotionModel,
)
from open_clip.tokenizer import SimpleTokenizer
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from motion_core.backbones.animatediff import AnimateDiff
from motion_core.backbones.text import TextEncoder
from motion_core.backbones.zeroscope import ZeroScope

Model = TypeVar("Model", bound=nn.Module)
PredictionType = Literal["epsilon", "v_prediction"]

CHANNELS = (8, 16)
PROMPT_DIM = 8
CONTEXT_LENGTH = 16
MAX_FRAMES = 16


def tiny_animatediff(
    prediction_type: PredictionType = "epsilon", seed: int = 0, mid_block: bool = True
) -> AnimateDiff:
    """Two levels, attention at the upper one, a motion module after every layer; `mid_block` as in
    v2.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNetMotionModel(
            sample_size=8,
            down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"),
            up_block_types=("UpBlockMotion", "CrossAttnUpBlockMotion"),
            block_out_channels=CHANNELS,
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=PROMPT_DIM,
            num_attention_heads=2,
            motion_num_attention_heads=2,
            motion_max_seq_length=MAX_FRAMES,
            use_motion_mid_block=mid_block,
        )
        return AnimateDiff(
            network=stirred(unet),
            vae=tiny_vae(),
            text=tiny_text(),
            scheduler=DDIMScheduler(
                beta_schedule="linear",
                beta_start=0.00085,
                beta_end=0.012,
                clip_sample=False,
                steps_offset=1,
                set_alpha_to_one=False,
                prediction_type=prediction_type,
            ),
            version="animatediff-sd15-v2" if mid_block else "animatediff-sd15-v3",
            licence="test",
        )


def tiny_zeroscope(prediction_type: PredictionType = "epsilon", seed: int = 0) -> ZeroScope:
    """Two levels, attention at the upper one, temporal modules at both."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet3DConditionModel(
            sample_size=8,
            down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
            up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
            block_out_channels=CHANNELS,
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=PROMPT_DIM,
            attention_head_dim=4,
        )
        return ZeroScope(
            network=stirred(unet),
            vae=tiny_vae(),
            text=tiny_text(pad_token=0),
            scheduler=DDIMScheduler(
                beta_schedule="scaled_linear",
                beta_start=0.00085,
                beta_end=0.012,
                clip_sample=False,
                steps_offset=1,
                set_alpha_to_one=False,
                prediction_type=prediction_type,
            ),
            version="zeroscope",
            licence="test",
        )


def tiny_vae() -> AutoencoderKL:
    """Factor 8, 4 latent channels."""
    vae = AutoencoderKL(
        block_out_channels=(4, 4, 8, 8),
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=2,
        sample_size=64,
    )
    return stirred(vae)


def tiny_text(pad_token: int = 49407) -> TextEncoder:
    """One layer on CLIP's vocabulary, cut to a short context. pad_token: 49407 pads as SD1.5 does,
    0 as OpenCLIP.
    """
    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=PROMPT_DIM,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT_LENGTH,
        projection_dim=PROMPT_DIM,
    )
    return TextEncoder(
        model=CLIPTextModel(config),
        tokenizer=SimpleTokenizer(context_length=CONTEXT_LENGTH),
        pad_token=pad_token,
    )


def stirred(model: Model) -> Model:
    """Adds a little noise to every parameter of the model, zero-initialised and norm weights
    included.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


def tiny_image_unet() -> UNet2DConditionModel:
    """The image model below the tiny AnimateDiff's motion modules."""
    return UNet2DConditionModel(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=CHANNELS,
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=PROMPT_DIM,
        attention_head_dim=2,
    )
