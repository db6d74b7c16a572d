"""Trains the four denoisers: the image UNet, a personalised variant of it, the motion module, the
UNet3D. Each function returns the network with its trained weights, and a record of the run."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel, UNet3DConditionModel, UNetMotionModel
from torch import nn

from motion_core.backbones.text import TextEncoder
from motion_core.shape_world.motions import FRAMES
from motion_core.shape_world.networks import (
    build_image_unet,
    build_scheduler,
    build_unet3d,
    with_motion_modules,
)

from .denoiser import DenoiserRun, train_denoiser
from .feature_matching import FeatureMatching
from .frame_probes import FrameProbes
from .latents import LatentSet

IMAGES_A_STEP = 64
CLIPS_A_STEP = 4
INNER = ("time_embedding", "down_blocks.1", "mid_block", "up_blocks.0")

Record = dict[str, object]


def train_image_unet(
    latents: LatentSet, text: TextEncoder, run: DenoiserRun
) -> tuple[UNet2DConditionModel, Record]:
    """The image UNet, from random weights."""
    torch.manual_seed(run.seed)
    unet = build_image_unet()
    record = train_denoiser(
        run,
        unet,
        lambda noisy, timesteps, prompt_embeds: unet(noisy, timesteps, prompt_embeds).sample,
        lambda rng: latents.draw_images(rng, IMAGES_A_STEP),
        text,
        build_scheduler("linear"),
    )
    return unet, record


def train_personalised(
    latents: LatentSet,
    solid: LatentSet,
    text: TextEncoder,
    run: DenoiserRun,
    image_unet: UNet2DConditionModel,
) -> tuple[UNet2DConditionModel, Record]:
    """The image UNet in another look. Only the layers next to the latents are tuned; the features
    that a motion module sees are held to the image UNet's. solid: the same scenes in its look."""
    torch.manual_seed(run.seed)
    unet = build_image_unet()
    unet.load_state_dict(image_unet.state_dict())
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_(not name.startswith(INNER))
    matching = FeatureMatching(unet, image_unet)
    record = train_denoiser(
        run,
        unet,
        lambda noisy, timesteps, prompt_embeds: unet(noisy, timesteps, prompt_embeds).sample,
        lambda rng: latents.draw_images(rng, IMAGES_A_STEP, solid),
        text,
        build_scheduler("linear"),
        auxiliary=matching,
    )
    matching.detach()
    return unet, record


def train_motion_module(
    latents: LatentSet, text: TextEncoder, run: DenoiserRun, image_unet: UNet2DConditionModel
) -> tuple[UNetMotionModel, Record]:
    """AnimateDiff's recipe: motion modules in the image UNet, whose own weights stay frozen."""
    torch.manual_seed(run.seed)
    unet = with_motion_modules(image_unet)
    unet.freeze_unet2d_params()
    record = train_denoiser(
        run,
        unet,
        lambda noisy, timesteps, prompt_embeds: (
            unet(noisy, timesteps, prompt_embeds.repeat_interleave(noisy.shape[2], dim=0)).sample
        ),
        lambda rng: latents.draw_videos(rng, CLIPS_A_STEP),
        text,
        build_scheduler("linear"),
    )
    return unet, record


def train_unet3d(
    latents: LatentSet, text: TextEncoder, run: DenoiserRun, image_unet: UNet2DConditionModel
) -> tuple[UNet3DConditionModel, Record]:
    """ModelScope's recipe: spatial layers start from the image UNet, then all is trained, the
    spatial layers slowly: few clips a step would make them forget shapes. Cross-attention goes at
    the full rate, for it is where a prompt's motion comes in."""
    torch.manual_seed(run.seed)
    unet = build_unet3d()
    shapes = {name: value.shape for name, value in unet.state_dict().items()}
    spatial = {name: value.reshape(shapes[name]) for name, value in image_unet.state_dict().items()}
    unet.load_state_dict(spatial, strict=False)
    probes = FrameProbes(unet, FRAMES)
    record = train_denoiser(
        run,
        nn.ModuleDict({"unet": unet, "probes": probes}),
        lambda noisy, timesteps, prompt_embeds: unet(noisy, timesteps, prompt_embeds).sample,
        lambda rng: latents.draw_videos(rng, CLIPS_A_STEP),
        text,
        build_scheduler("scaled_linear"),
        slow=[f"unet.{name}" for name in spatial if "attn2" not in name],
        auxiliary=probes,
    )
    probes.detach()
    return unet, record
