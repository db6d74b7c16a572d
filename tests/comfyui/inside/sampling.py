"""One video, sampled by ComfyUI and by the core: shape world's bases, the same noise, prompts and
timesteps. Latents are (F, C, h, w), scaled as the core's.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import comfy.sample
import torch
from comfy.model_patcher import ModelPatcher
from diffusers import DDIMScheduler
from torch import Tensor

import nodes
from motion_core.adapters.base import Adapter
from motion_core.backbones.animatediff import AnimateDiff
from motion_core.backbones.zeroscope import ZeroScope
from motion_core.diffusion.encoding import encode_prompts
from motion_core.diffusion.generate import apply_adapters, taking_off
from motion_core.diffusion.sampling import sample_latents
from motion_core.diffusion.settings import SampleSettings
from motion_core.shape_world.base import ANIMATEDIFF, ZEROSCOPE, load_shape_world

FRAMES, STEPS, GUIDANCE, SEED = 8, 10, 4.0, 3
PROMPT, NEGATIVE = "a red circle moving right on a blue background", ""

Backbone = AnimateDiff | ZeroScope
Conditioning = list[list[Any]]


def animatediff_base(zero_terminal_snr: bool = True) -> AnimateDiff:
    """As `zeroscope_base`."""
    base = load_shape_world(ANIMATEDIFF)
    assert isinstance(base, AnimateDiff)
    return _ending_at_zero(base, zero_terminal_snr)


def zeroscope_base(zero_terminal_snr: bool = True) -> ZeroScope:
    """Its schedule ends at x_0, as ComfyUI's do, and not at the first ᾱ.

    zero_terminal_snr: as it was trained; without, both samplers start from the very same ᾱ.
    """
    base = load_shape_world(ZEROSCOPE)
    assert isinstance(base, ZeroScope)
    return _ending_at_zero(base, zero_terminal_snr)


def _ending_at_zero(base: Any, zero_terminal_snr: bool) -> Any:
    changes = {"set_alpha_to_one": True, "rescale_betas_zero_snr": zero_terminal_snr}
    base.scheduler = DDIMScheduler.from_config({**base.scheduler.config, **changes})
    return base


def conditioning(backbone: Backbone, prompt: str) -> Conditioning:
    return [[encode_prompts(backbone, [prompt]), {}]]


def empty_latent(frames: int = FRAMES) -> dict[str, Tensor]:
    return {"samples": torch.zeros(frames, 4, 8, 8)}


def sampled(
    model: ModelPatcher,
    backbone: Backbone,
    frames: int = FRAMES,
    steps: int = STEPS,
    positive: Conditioning | None = None,
    negative: Conditioning | None = None,
) -> Tensor:
    """What the KSampler node makes."""
    with torch.inference_mode():
        (latent,) = nodes.KSampler().sample(
            *(model, SEED, steps, GUIDANCE, "euler", "simple"),
            positive or conditioning(backbone, PROMPT),
            negative or conditioning(backbone, NEGATIVE),
            empty_latent(frames),
        )
    return latent["samples"] * backbone.vae.config["scaling_factor"]


def core_sampled(
    backbone: Backbone,
    adapters: Sequence[tuple[Adapter, float]] = (),
    steps: int = STEPS,
    end: float = 1.0,
    frames: int = FRAMES,
    embeds: Tensor | None = None,
) -> Tensor:
    """What the core's sampler makes from ComfyUI's noise. embeds: of the negative prompt and the
    positive one, (2, L, D).
    """
    with ExitStack() as stack:
        stack.enter_context(apply_adapters(backbone, adapters))
        negative, positive = prompt_embeds(backbone) if embeds is None else embeds
        latents = sample_latents(
            backbone,
            comfy_noise(frames),
            positive[None],
            negative[None],
            SampleSettings(steps=steps, guidance_scale=GUIDANCE),
            taking_off(stack, end),
        )
    return latents[0].transpose(0, 1)


@torch.no_grad()
def diffusers_sampled(
    backbone: ZeroScope, steps: int = STEPS, frames: int = FRAMES, embeds: Tensor | None = None
) -> Tensor:
    """What diffusers' UNet and DDIMScheduler make; as `core_sampled`."""
    scheduler = DDIMScheduler.from_config(backbone.scheduler.config)
    scheduler.set_timesteps(steps)
    latents = comfy_noise(frames)
    embeds = prompt_embeds(backbone) if embeds is None else embeds
    for timestep in scheduler.timesteps:
        both = torch.cat([latents, latents])
        (out,) = backbone.network(both, timestep.expand(2), embeds, return_dict=False)
        negative, positive = out.chunk(2)
        guided = negative + GUIDANCE * (positive - negative)
        (latents,) = scheduler.step(guided, timestep, latents, return_dict=False)[:1]
    return latents[0].transpose(0, 1)


def prompt_embeds(backbone: Backbone) -> Tensor:
    """Of the negative prompt and the positive one, (2, L, D)."""
    return encode_prompts(backbone, [NEGATIVE, PROMPT])


def comfy_noise(frames: int = FRAMES) -> Tensor:
    """What KSampler starts from, as the core has it: (1, C, F, h, w)."""
    noise = comfy.sample.prepare_noise(empty_latent(frames)["samples"], SEED)
    return noise.transpose(0, 1)[None]


def distance(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference."""
    return float((ours - theirs).abs().max())
