"""One video, sampled by ComfyUI and by the core: shape world's UNet3D, the same noise, prompts and
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
from motion_core.backbones.zeroscope import ZeroScope
from motion_core.encoding import encode_prompts
from motion_core.pipeline import apply_adapters, taking_off
from motion_core.sampler import SampleSettings, ddim_sample
from motion_core.shape_world.base import ZEROSCOPE, load_shape_world

FRAMES, STEPS, GUIDANCE, SEED = 8, 10, 4.0, 3
PROMPT, NEGATIVE = "a red circle moving right on a blue background", ""

Conditioning = list[list[Any]]


def load_base(zero_terminal_snr: bool = True) -> ZeroScope:
    """Its schedule ends at x_0, as ComfyUI's do, and not at the first ᾱ.

    zero_terminal_snr: as it was trained; without, both samplers start from the very same ᾱ.
    """
    base = load_shape_world(ZEROSCOPE)
    assert isinstance(base, ZeroScope)
    changes = {"set_alpha_to_one": True, "rescale_betas_zero_snr": zero_terminal_snr}
    base.scheduler = DDIMScheduler.from_config({**base.scheduler.config, **changes})
    return base


def conditioning(backbone: ZeroScope, prompt: str) -> Conditioning:
    return [[encode_prompts(backbone, [prompt]), {}]]


def empty_latent(frames: int = FRAMES) -> dict[str, Tensor]:
    return {"samples": torch.zeros(frames, 4, 8, 8)}


def sampled(
    model: ModelPatcher,
    backbone: ZeroScope,
    frames: int = FRAMES,
    steps: int = STEPS,
    positive: Conditioning | None = None,
) -> Tensor:
    """What the KSampler node makes."""
    with torch.inference_mode():
        (latent,) = nodes.KSampler().sample(
            *(model, SEED, steps, GUIDANCE, "euler", "simple"),
            positive or conditioning(backbone, PROMPT),
            conditioning(backbone, NEGATIVE),
            empty_latent(frames),
        )
    return latent["samples"] * backbone.vae.config["scaling_factor"]


def core_sampled(
    backbone: ZeroScope,
    adapters: Sequence[tuple[Adapter, float]] = (),
    steps: int = STEPS,
    end: float = 1.0,
) -> Tensor:
    """What the core's sampler makes from ComfyUI's noise."""
    with ExitStack() as stack:
        stack.enter_context(apply_adapters(backbone, adapters))
        latents = ddim_sample(
            backbone,
            comfy_noise(),
            encode_prompts(backbone, [PROMPT]),
            encode_prompts(backbone, [NEGATIVE]),
            SampleSettings(steps=steps, guidance_scale=GUIDANCE),
            taking_off(stack, end),
        )
    return latents[0].transpose(0, 1)


def comfy_noise() -> Tensor:
    """What KSampler starts from, as the core has it: (1, C, F, h, w)."""
    noise = comfy.sample.prepare_noise(empty_latent()["samples"], SEED)
    return noise.transpose(0, 1)[None]


def distance(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference."""
    return float((ours - theirs).abs().max())
