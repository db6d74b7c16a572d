"""The sampling loop and its inversion, with guidance, on a base's own schedule.

Input: starting noise or a clip's latents (B, C, F, h, w), and prompt embeddings (B, L, D). Output:
latents of that shape, float32, on the network's device. What a step is, and what undoes it, is the
schedule's.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..backbones.base import Backbone
from ..settings import require

logger = logging.getLogger(__name__)

OnStep = Callable[[int, int], None]
"""Called with (steps done, steps in all) after each step; what it raises stops the run."""


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """How to sample. Defaults: MotionDirector's and Motion Inversion's on ZeroScope.

    steps: DDIM steps, 1 to the schedule's T. guidance_scale: 1 (off) and up; AnimateDiff wants
    about 7.5. frames: of the video. height, width: pixels, multiples of 8. seed: 0 to 2^63 − 1, the
    same noise on every device. negative_prompt: what guidance steers away from. noise_prior: p in
    [0, 1], the share of the reference's inverted noise. guidance_rescale: 0 (off) to 1, pulls the
    guided prediction back to the unguided one's standard deviation (arXiv 2305.08891, Sec. 3.4);
    0.7 is the paper's value for v-prediction with zero terminal SNR, which else over-exposes.
    temporal_scale, spatial_scale: multiply the strengths of the adapters of that scope; finite.
    adapter_end: more than 0 to 1, the share of the steps that adapters take part in. Motion is
    settled in the first ones; the rest is the base's alone, and so are the looks.
    """

    steps: int = 30
    guidance_scale: float = 12.0
    frames: int = 16
    height: int = 384
    width: int = 384
    seed: int = 0
    negative_prompt: str = ""
    noise_prior: float = 0.0
    guidance_rescale: float = 0.0
    temporal_scale: float = 1.0
    spatial_scale: float = 1.0
    adapter_end: float = 1.0

    def __post_init__(self) -> None:
        require(self.steps >= 1, "steps", self.steps, "1 or more")
        guidance = self.guidance_scale
        require(1.0 <= guidance < math.inf, "guidance_scale", guidance, "1 or more")
        require(self.frames >= 1, "frames", self.frames, "1 or more")
        end = self.adapter_end
        require(0.0 < end <= 1.0, "adapter_end", end, "more than 0, at most 1")
        for name in ("height", "width"):
            size = getattr(self, name)
            require(size >= 8 and size % 8 == 0, name, size, "a positive multiple of 8")
        require(0 <= self.seed < 2**63, "seed", self.seed, "0 to 2^63 - 1")
        for name in ("noise_prior", "guidance_rescale"):
            share = getattr(self, name)
            require(0.0 <= share <= 1.0, name, share, "0 to 1")
        for name in ("temporal_scale", "spatial_scale"):
            scale = getattr(self, name)
            require(math.isfinite(scale), name, scale, "a finite number")


@torch.inference_mode(False)
@torch.no_grad()
def sample_latents(
    backbone: Backbone,
    noise: Tensor,
    prompt_embeds: Tensor,
    negative_embeds: Tensor,
    settings: SampleSettings,
    on_step: OnStep | None = None,
) -> Tensor:
    """Latents (B, C, F, h, w) from `noise` of that shape and unit variance.

    prompt_embeds, negative_embeds: (B, L, D). Of the settings only steps, guidance_scale and
    guidance_rescale count here. Raises SettingsError on more steps than the schedule has,
    FormatError on a prediction type that the schedule cannot carry.
    """
    sampler = backbone.schedule.sampler(settings.steps)
    guided = _GuidedPrediction(backbone, prompt_embeds, negative_embeds, settings)
    latents = noise.to(_device(backbone), torch.float32)
    with _evaluating(backbone.network):
        for step, timestep in enumerate(sampler.timesteps, start=1):
            model_pred = guided(latents, timestep)
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
                logger.warning("Guidance's two branches do not fit into memory; taking turns.")
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
