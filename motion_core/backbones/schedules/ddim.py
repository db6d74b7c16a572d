"""DDPM's noise, with ε- and v-prediction, also with zero terminal SNR; DDIM's steps.

Timesteps are int64 in [0, T). The schedule is read from a DDIMScheduler, which is never changed:
diffusers' `add_noise` moves the schedule's tensors to the latents' device and rounds them to the
latents' dtype, both of which are avoided here. Steps go through a fresh one each time.

With ᾱ the schedule's cumulative product of alphas, z_t = sqrt(ᾱ_t)·z_0 + sqrt(1−ᾱ_t)·ε (DDPM, arXiv
2006.11239, Eq. 4). With zero terminal SNR (arXiv 2305.08891) ᾱ_{T−1} = 0: there z is noise alone, ε
is told by the input itself, and only v teaches the network anything.

DDIM (arXiv 2010.02502, Eq. 12, η = 0): write z_t = cos φ_t·z_0 + sin φ_t·ε with cos² φ_t = ᾱ_t. A
step leads from t to s = t − T//N, with the network's output at (z_t, t). Inversion solves the same
step for z_t, with the network's output at (z_s, t):

    ε-prediction:  z_t = (z_s − sin φ_s·ε̂)·cos φ_t / cos φ_s + sin φ_t·ε̂
    v-prediction:  z_t = (z_s + sin(φ_t − φ_s)·v̂) / cos(φ_t − φ_s)

It undoes the step but for the network's seeing z_s where the sampler shows it z_t, an error that
vanishes as N grows. The first line is the official MotionDirector's (showlab/MotionDirector
0146a50, utils/ddim_utils.py, next_step).
Deviation: the second line is not diffusers' DDIMInverseScheduler, which decomposes v̂ at the angle
of z_s although the network was asked at t, and which does not know the "linspace" spacing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from ...errors import FormatError
from ...settings import require
from .base import StepSampler, per_clip, spread_evenly
from .ddpm import DdpmScheduler, clip_foreseen, cos_and_sin, prediction_type
from .few_steps import Distillation, lcm_sampler, lightning_scheduler


@dataclass(frozen=True)
class DdimSchedule:
    """A `Schedule`. scheduler: its betas and its prediction type."""

    scheduler: DDIMScheduler

    @property
    def total(self) -> int:
        return int(self.scheduler.config["num_train_timesteps"])

    def draw_timesteps(self, count: int, rng: torch.Generator, minimum: int = 0) -> Tensor:
        """(count,) int64, uniform over {minimum … T−1}; see `Schedule`."""
        places = spread_evenly(count, rng)
        return (minimum + places * (self.total - minimum)).long().clamp(max=self.total - 1)

    def noised(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """z_t = sqrt(ᾱ_t)·z_0 + sqrt(1−ᾱ_t)·ε, in the dtype of `latents`."""
        signal, sigma = self._signal_and_sigma(latents, timesteps)
        return (signal * latents + sigma * noise).to(latents.dtype)

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """ε, or v = sqrt(ᾱ_t)·ε − sqrt(1−ᾱ_t)·z_0 of Salimans and Ho (arXiv 2202.00512, App. D).

        Raises FormatError where the schedule predicts something else, such as x0.
        """
        if prediction_type(self.scheduler) == "epsilon":
            return noise
        signal, sigma = self._signal_and_sigma(latents, timesteps)
        return (signal * noise - sigma * latents).to(latents.dtype)

    def sampler(self, steps: int) -> DdimSampler:
        """`steps` of DDIM. Raises FormatError for ε-prediction on zero terminal SNR."""
        scheduler = cast(DDIMScheduler, DDIMScheduler.from_config(self.scheduler.config))
        return self._stepping(scheduler, steps)

    def few_step_sampler(self, distillation: Distillation, steps: int, seed: int) -> StepSampler:
        """See `Schedule`; raises as `sampler`, and SettingsError for more steps than LCM has."""
        if distillation == "lightning":
            return self._stepping(lightning_scheduler(self.scheduler), steps)
        sampler = lcm_sampler(self.scheduler, steps, seed)
        _check_start(sampler.scheduler)
        return sampler

    def _stepping(self, scheduler: DDIMScheduler, steps: int) -> DdimSampler:
        require(
            1 <= steps <= self.total, "steps", steps, f"1 to {self.total}, the schedule's timesteps"
        )
        scheduler.set_timesteps(steps)
        _check_start(scheduler)
        return DdimSampler(scheduler)

    def _signal_and_sigma(self, latents: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(ᾱ_t) and sqrt(1−ᾱ_t), float32, shaped (B, 1, …, 1) on the latents' device."""
        alphas = self.scheduler.alphas_cumprod.to(
            timesteps.device, torch.float32, non_blocking=True
        )[timesteps]
        alphas = per_clip(alphas, latents)
        return alphas.sqrt(), (1.0 - alphas).sqrt()


@dataclass(frozen=True)
class DdimSampler:
    """A `Sampler`. scheduler: one with its number of steps set, for this sampler alone."""

    scheduler: DDIMScheduler

    @property
    def timesteps(self) -> list[int]:
        return self.scheduler.timesteps.tolist()

    def step(self, model_pred: Tensor, timestep: float, latents: Tensor) -> Tensor:
        """One step of diffusers' DDIMScheduler."""
        return self.scheduler.step(model_pred, int(timestep), latents, return_dict=False)[0]

    def foreseen(self, model_pred: Tensor, timestep: float, latents: Tensor) -> Tensor:
        """See `clip_foreseen`."""
        return clip_foreseen(self.scheduler, model_pred, timestep, latents)

    def inverse_step(self, model_pred: Tensor, timestep: float, latents: Tensor) -> Tensor:
        """z_t of z_s; see the module's docstring."""
        assert self.scheduler.num_inference_steps is not None
        total = self.scheduler.config["num_train_timesteps"]
        previous = int(timestep) - total // self.scheduler.num_inference_steps
        cos_t, sin_t = cos_and_sin(self.scheduler, int(timestep))
        cos_s, sin_s = cos_and_sin(self.scheduler, previous)
        if prediction_type(self.scheduler) == "epsilon":
            return (latents - sin_s * model_pred) * (cos_t / cos_s) + sin_t * model_pred
        cos_turn, sin_turn = cos_t * cos_s + sin_t * sin_s, sin_t * cos_s - cos_t * sin_s
        return (latents + sin_turn * model_pred) / cos_turn


def _check_start(scheduler: DdpmScheduler) -> None:
    starts_in_pure_noise = float(scheduler.alphas_cumprod[scheduler.timesteps[0]]) == 0.0
    if prediction_type(scheduler) == "epsilon" and starts_in_pure_noise:
        raise FormatError(
            "The base predicts 'epsilon' on a schedule with zero terminal SNR, where ε "
            "contains nothing of the clip; expected 'v_prediction'. Correct the scheduler's "
            "configuration."
        )
