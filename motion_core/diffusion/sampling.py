"""The sampling loop and its inversion, with guidance, on a base's own schedule.

Input: starting noise or a clip's latents (B, C, F, h, w), and prompt embeddings (B, L, D). Output:
latents of that shape, float32, on the network's device. What a step is, and what undoes it, is the
schedule's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..backbones.base import Backbone
from ..backbones.schedules.base import Schedule, StepSampler
from ..settings import require
from .settings import SampleSettings

logger = logging.getLogger(__name__)

OnStep = Callable[[int, int], None]
"""Called with (steps done, steps in all) after each step; what it raises stops the run."""
OnForeseen = Callable[[Tensor], None]
"""Called in each step with the clip (B, C, F, h, w) that it foresees, before `OnStep`."""


@torch.inference_mode(False)
@torch.no_grad()
def sample_latents(
    backbone: Backbone,
    noise: Tensor,
    prompt_embeds: Tensor,
    negative_embeds: Tensor,
    settings: SampleSettings,
    on_step: OnStep | None = None,
    on_foreseen: OnForeseen | None = None,
) -> Tensor:
    """Latents (B, C, F, h, w) from `noise` of that shape and unit variance.

    prompt_embeds, negative_embeds: (B, L, D). Of the settings only steps, few_steps,
    guidance_scale, guidance_rescale and, for LCM's own noise, seed count here. Raises SettingsError
    on more steps than the schedule has, FormatError on a prediction type that the schedule cannot
    carry.
    """
    sampler = _sampler(backbone.schedule, settings)
    guided = _GuidedPrediction(backbone, prompt_embeds, negative_embeds, settings)
    latents = noise.to(_device(backbone), torch.float32)
    with _evaluating(backbone.network):
        for step, timestep in enumerate(sampler.timesteps, start=1):
            model_pred = guided(latents, timestep)
            if on_foreseen is not None:
                on_foreseen(sampler.foreseen(model_pred, timestep, latents))
            latents = sampler.step(model_pred, timestep, latents)
            if on_step is not None:
                on_step(step, settings.steps)
    return latents


@torch.inference_mode(False)
@torch.no_grad()
def invert_latents(
    backbone: Backbone,
    latents: Tensor,
    prompt_embeds: Tensor,
    steps: int,
    on_step: OnStep | None = None,
) -> Tensor:
    """The noise from which `steps` sampling steps without guidance lead back to `latents`, about.

    latents: (B, C, F, h, w), scaled. prompt_embeds: (B, L, D), the empty prompt's in the papers.
    steps: at least 2, as a single step from zero terminal SNR forgets its noise and has no inverse.
    Raises as `sample_latents` does.
    """
    require(steps >= 2, "steps", steps, "2 or more for an inversion")
    sampler = backbone.schedule.sampler(steps)
    latents = latents.to(_device(backbone), torch.float32)
    with _evaluating(backbone.network):
        for step, timestep in enumerate(reversed(sampler.timesteps), start=1):
            model_pred = _predict(backbone, latents, timestep, prompt_embeds)
            latents = sampler.inverse_step(model_pred, timestep, latents)
            if on_step is not None:
                on_step(step, steps)
    return latents


def _sampler(schedule: Schedule, settings: SampleSettings) -> StepSampler:
    if settings.few_steps == "off":
        return schedule.sampler(settings.steps)
    return schedule.few_step_sampler(settings.few_steps, settings.steps, settings.seed)


class _GuidedPrediction:
    """Classifier-free guidance (arXiv 2207.12598), in one forward while the memory suffices."""

    def __init__(
        self,
        backbone: Backbone,
        prompt_embeds: Tensor,
        negative_embeds: Tensor,
        settings: SampleSettings,
    ) -> None:
        self.backbone = backbone
        self.prompt_embeds = prompt_embeds
        self.negative_embeds = negative_embeds
        self.scale = settings.guidance_scale
        self.rescale = settings.guidance_rescale
        self.together = True

    def __call__(self, latents: Tensor, timestep: float) -> Tensor:
        if self.scale == 1.0:
            return _predict(self.backbone, latents, timestep, self.prompt_embeds)
        negative, positive = self._branches(latents, timestep)
        guided = negative + self.scale * (positive - negative)
        return _rescaled(guided, positive, self.rescale) if self.rescale > 0.0 else guided

    def _branches(self, latents: Tensor, timestep: float) -> tuple[Tensor, Tensor]:
        if self.together:
            try:
                embeds = torch.cat([self.negative_embeds, self.prompt_embeds])
                both = _predict(self.backbone, torch.cat([latents, latents]), timestep, embeds)
                negative, positive = both.chunk(2)
                return negative, positive
            except torch.cuda.OutOfMemoryError:
                logger.warning(
                    "The two guidance branches do not fit into memory together; "
                    "computing them one after the other."
                )
                self.together = False
        negative = _predict(self.backbone, latents, timestep, self.negative_embeds)
        return negative, _predict(self.backbone, latents, timestep, self.prompt_embeds)


def _rescaled(guided: Tensor, positive: Tensor, share: float) -> Tensor:
    """arXiv 2305.08891, Eqs. 15 and 16: σ over all of one sample; `share` is the paper's φ."""
    dims = tuple(range(1, guided.ndim))
    ratio = positive.std(dims, keepdim=True) / guided.std(dims, keepdim=True)
    return guided * (share * ratio + (1.0 - share))


def _predict(backbone: Backbone, latents: Tensor, timestep: float, embeds: Tensor) -> Tensor:
    """The network's output in float32, whatever dtype it computes in."""
    timesteps = torch.full((latents.shape[0],), timestep, device=latents.device)
    return backbone.predict(latents, timesteps, embeds.to(latents.device)).float()


def _device(backbone: Backbone) -> torch.device:
    return next(backbone.network.parameters()).device


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """eval() for a while; each submodule's own training flag comes back, whatever happens."""
    were_training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in were_training:
            part.training = True
