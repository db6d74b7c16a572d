"""Rectified flow (Liu et al., arXiv 2209.03003), as Wan and its like are trained and sampled.

With σ from 0 (the clip z) to 1 (noise n): x_σ = σ·n + (1 − σ)·z, and the network predicts
v = n − z, so that x̂_0 = x − σ·v̂. A timestep is 1000·σ, a float.

Timesteps are shifted to more noise (Esser et al., arXiv 2403.03206, Eq. 23): σ(u) = s·u / (1 +
(s − 1)·u) with u uniform in training, and evenly from 1 down in sampling, where Euler's step from σ
to σ' is x += (σ' − σ)·v̂. Inversion is the same step backwards, x += (σ − σ')·v̂, with the network
asked at σ, where the sampler asks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import SettingsError
from ...settings import require
from .base import StepSampler, per_clip, spread_evenly
from .few_steps import Distillation

TIMESTEPS = 1000


@dataclass(frozen=True, kw_only=True)
class FlowSchedule:
    """A `Schedule`. shift: s, more than 0; 1 shifts nothing. Wan's trainers take 3 to 5, its
    samplers 5 to 12.
    """

    shift: float

    def __post_init__(self) -> None:
        require(self.shift > 0, "shift", self.shift, "more than 0")

    @property
    def total(self) -> int:
        return TIMESTEPS

    def draw_timesteps(self, count: int, rng: torch.Generator, minimum: int = 0) -> Tensor:
        """(count,) float32 in [minimum, 1000], u uniform over what lies there; see `Schedule`."""
        least = minimum / TIMESTEPS
        lowest = least / (self.shift - (self.shift - 1) * least)
        return TIMESTEPS * self.sigma(lowest + spread_evenly(count, rng) * (1 - lowest))

    def sigma(self, place: Tensor) -> Tensor:
        """σ(u). place: u, 0 to 1."""
        return self.shift * place / (1 + (self.shift - 1) * place)

    def noised(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """x_σ = σ·n + (1 − σ)·z, in the dtype of `latents`."""
        sigma = _sigma_of(timesteps, latents)
        return (sigma * noise + (1 - sigma) * latents).to(latents.dtype)

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """v = n − z, at every timestep."""
        return noise - latents

    def sampler(self, steps: int) -> EulerSampler:
        """Steps over N + 1 places u, evenly from 1 to 0."""
        require(
            1 <= steps <= TIMESTEPS, "steps", steps, f"1 to {TIMESTEPS}, the schedule's timesteps"
        )
        places = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        return EulerSampler(sigmas=tuple(self.sigma(places).tolist()))

    def few_step_sampler(self, distillation: Distillation, steps: int, seed: int) -> StepSampler:
        """There is none: what is distilled from a flow is sampled by Euler's steps too."""
        raise SettingsError(
            f"few_steps is {distillation!r}, which is for Stable Diffusion's schedule; this base "
            "has a flow. Set few_steps to 'off', and steps to the few that it was distilled to."
        )


@dataclass(frozen=True, kw_only=True)
class EulerSampler:
    """A `Sampler`. sigmas: N + 1 of them, from 1 to 0."""

    sigmas: tuple[float, ...]

    @property
    def timesteps(self) -> list[float]:
        return [TIMESTEPS * sigma for sigma in self.sigmas[:-1]]

    def step(self, model_pred: Tensor, timestep: float, latents: Tensor) -> Tensor:
        """x + (σ' − σ)·v̂."""
        return latents + self._stride(timestep) * model_pred

    def foreseen(self, model_pred: Tensor, timestep: float, latents: Tensor) -> Tensor:
        """x − σ·v̂."""
        return latents - self.sigmas[self.timesteps.index(timestep)] * model_pred

    def inverse_step(self, model_pred: Tensor, timestep: float, latents: Tensor) -> Tensor:
        """x + (σ − σ')·v̂."""
        return latents - self._stride(timestep) * model_pred

    def _stride(self, timestep: float) -> float:
        """σ' − σ, less than 0."""
        index = self.timesteps.index(timestep)
        return self.sigmas[index + 1] - self.sigmas[index]


def _sigma_of(timesteps: Tensor, latents: Tensor) -> Tensor:
    return per_clip(timesteps.float() / TIMESTEPS, latents)
