"""Samplers for what was distilled to a few steps, on DDPM's noise.

lcm: latent consistency sampling (Luo et al., arXiv 2310.04378, Alg. 1 and Eq. 9), as AnimateLCM
(arXiv 2402.00769) and LCM LoRAs are sampled: the network tells the clip from z_t, and every step
but the last adds fresh noise to it. The steps are diffusers' LCMScheduler's.

lightning: AnimateDiff-Lightning (arXiv 2403.12706). Its model card samples with Euler's steps and
trailing timesteps, T−1 first. For ε-prediction Euler's step in σ is DDIM's, which is taken here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_lcm import LCMScheduler
from torch import Tensor

from ...settings import require
from .ddpm import clip_foreseen

Distillation = Literal["lcm", "lightning"]
ORIGINAL_STEPS = 50  # of the teacher's sampler: arXiv 2310.04378, App. F, and every LCM LoRA since


@dataclass(frozen=True)
class LcmSampler:
    """A `StepSampler`. scheduler: with its steps set, for one sample alone. rng: of the noise that
    is added, on the CPU, so that every device draws the same.
    """

    scheduler: LCMScheduler
    rng: torch.Generator

    @property
    def timesteps(self) -> list[int]:
        return self.scheduler.timesteps.tolist()

    def step(self, model_pred: Tensor, timestep: float, latents: Tensor) -> Tensor:
        """sqrt(ᾱ_s)·f(z_t, t) + sqrt(1−ᾱ_s)·ε; at the last step f(z_t, t) alone."""
        return self.scheduler.step(  # type: ignore[return-value]
            model_pred, int(timestep), latents, generator=self.rng, return_dict=False
        )[0]

    def foreseen(self, model_pred: Tensor, timestep: float, latents: Tensor) -> Tensor:
        """See `clip_foreseen`."""
        return clip_foreseen(self.scheduler, model_pred, timestep, latents)


def lcm_sampler(scheduler: DDIMScheduler, steps: int, seed: int) -> LcmSampler:
    """Raises SettingsError for more steps than the distillation had."""
    require(1 <= steps <= ORIGINAL_STEPS, "steps", steps, f"1 to {ORIGINAL_STEPS} with lcm")
    lcm = cast(LCMScheduler, LCMScheduler.from_config(scheduler.config))
    lcm.set_timesteps(steps, original_inference_steps=ORIGINAL_STEPS)
    return LcmSampler(lcm, torch.Generator().manual_seed(seed))


def lightning_scheduler(scheduler: DDIMScheduler) -> DDIMScheduler:
    """Trailing timesteps, and no noise left after the last."""
    given = {"timestep_spacing": "trailing", "set_alpha_to_one": True}
    return cast(DDIMScheduler, DDIMScheduler.from_config(scheduler.config, **given))
