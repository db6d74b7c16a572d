"""The first step of every method's forward: noise on the latents, and what the network should say.

In: a clip's latents. Out: noisy latents, timesteps and the target, of the base's schedule and
prediction type.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..backbones.base import Backbone
from ..diffusion.noise import draw_noise


class NoisyLatents(NamedTuple):
    """latents, target: (B, C, F, h, w). timesteps: (B,), one a video."""

    latents: Tensor
    timesteps: Tensor
    target: Tensor


def draw_noisy_latents(
    backbone: Backbone,
    latents: Tensor,
    rng: torch.Generator,
    *,
    min_timestep: int = 0,
    timesteps: Tensor | None = None,
) -> NoisyLatents:
    """Draws timesteps, uniformly from min_timestep on unless they are given, and noise.

    latents: (B, C, F, h, w), scaled and clean. timesteps: (B,).
    """
    schedule = backbone.schedule
    if timesteps is None:
        timesteps = schedule.draw_timesteps(len(latents), rng, min_timestep)
    timesteps = timesteps.to(latents.device, non_blocking=True)
    noise = draw_noise(latents.shape, rng, latents.device)
    noisy = schedule.noised(latents, noise, timesteps)
    return NoisyLatents(noisy, timesteps, schedule.target(latents, noise, timesteps))
