"""The configurations of shape world's networks: the classes of the full-size models, only
smaller."""

from __future__ import annotations

from typing import Any

from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    MotionAdapter,
    UNet2DConditionModel,
    UNet3DConditionModel,
    UNetMotionModel,
)

CHANNELS = (64, 96)
TEXT_WIDTH = 64
HEAD_WIDTH = 8


def build_vae() -> AutoencoderKL:
    """4 latent channels, factor 8, as Stable Diffusion's."""
    config: dict[str, Any] = {
        "block_out_channels": (16, 32, 48, 64),
        "layers_per_block": 1,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "latent_channels": 4,
        "norm_num_groups": 8,
        "mid_block_add_attention": False,
        "sample_size": 64,
    }
    return AutoencoderKL(**config)


def build_image_unet() -> UNet2DConditionModel:
    """Stable Diffusion 1.5's form: attention at the upper level and in the middle, none at the
    lowest."""
    heads: Any = tuple(width // HEAD_WIDTH for width in CHANNELS)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=heads,  # the number of heads, whatever its name says
        norm_num_groups=16,
    )


def build_motion_adapter() -> MotionAdapter:
    """AnimateDiff v3's form: positions for 32 frames, no middle block."""
    return MotionAdapter(
        block_out_channels=CHANNELS,
        motion_layers_per_block=1,
        motion_max_seq_length=32,
        use_motion_mid_block=False,
    )


def build_motion_unet() -> UNetMotionModel:
    """The image UNet with the motion modules in it."""
    return with_motion_modules(build_image_unet())


def with_motion_modules(unet: UNet2DConditionModel) -> UNetMotionModel:
    """The image UNet's own weights, with fresh motion modules between them."""
    video = UNetMotionModel.from_unet2d(unet, build_motion_adapter())
    assert isinstance(video, UNetMotionModel)
    return video


def build_unet3d() -> UNet3DConditionModel:
    """ModelScope's form: temporal convolution and attention after every spatial layer."""
    return UNet3DConditionModel(
        sample_size=8,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=HEAD_WIDTH,
        norm_num_groups=16,
    )


def build_scheduler(beta_schedule: str) -> DDIMScheduler:
    """v-prediction with zero terminal SNR; "linear" for AnimateDiff, "scaled_linear" for
    ZeroScope."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule=beta_schedule,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
