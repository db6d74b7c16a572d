"""What a base's noise schedule is to training and sampling.

Latents and noise are (B, C, F, h, w). Timesteps are numbers from 0 (the clip) to `total` (noise
alone), whatever the schedule: its own words (ᾱ, σ) stay inside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .few_steps import Distillation


class Schedule(Protocol):
    """How noise and clip mix over the timesteps, and what the network predicts of them.

    total: one more than the largest timestep that is drawn; also the most steps of a sampler.
    """

    @property
    def total(self) -> int: ...

    def draw_timesteps(self, count: int, rng: torch.Generator, minimum: int = 0) -> Tensor:
        """(count,) timesteps of `minimum` or more, each as training draws them, together spread
        evenly; on the generator's device.
        """
        ...

    def noised(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The noisy latents, in the dtype of `latents`. timesteps: (B,)."""
        ...

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What the network should predict of those noisy latents."""
        ...

    def sampler(self, steps: int) -> Sampler:
        """Raises SettingsError on fewer steps than 1 or more than `total`, FormatError on a
        schedule that cannot be sampled.
        """
        ...

    def few_step_sampler(self, distillation: Distillation, steps: int, seed: int) -> StepSampler:
        """For a base that was distilled. seed: of the noise that LCM's steps add. Raises as
        `sampler`, and SettingsError where the schedule knows no such distillation.
        """
        ...


class StepSampler(Protocol):
    """Steps from noise to a clip.

    timesteps: where the network is asked, from the most noise to the least.
    """

    @property
    def timesteps(self) -> Sequence[float]: ...

    def step(self, model_pred: Tensor, timestep: float, latents: Tensor) -> Tensor:
        """From the latents at one of the timesteps to those at the next, or to the clip."""
        ...

    def foreseen(self, model_pred: Tensor, timestep: float, latents: Tensor) -> Tensor:
        """The clip that the latents at one of the timesteps are on the way to, by this prediction:
        where a single step from here to the clip would lead.
        """
        ...


class Sampler(StepSampler, Protocol):
    """Deterministic steps, which lead back too."""

    def inverse_step(self, model_pred: Tensor, timestep: float, latents: Tensor) -> Tensor:
        """The latents at `timestep` from which `step` with the same prediction leads to these."""
        ...


def spread_evenly(count: int, rng: torch.Generator) -> Tensor:
    """(count,) in [0, 1), each uniform, together evenly apart: a loss over several draws varies
    less than with independent ones (Kingma et al., "Variational Diffusion Models", 2021, Sec. I.1).
    """
    start = torch.rand((), generator=rng, device=rng.device)
    return (start + torch.arange(count, device=rng.device) / count) % 1


def per_clip(values: Tensor, latents: Tensor) -> Tensor:
    """(B,) values shaped (B, 1, …, 1), on the latents' device."""
    return values.to(latents.device).view(-1, *([1] * (latents.ndim - 1)))
