"""Samples many prompts and seeds at once; each clip is what `generate` gives for it alone.

At shape world's size a forward of one clip is mostly overhead, so that clips are sampled several
at a time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from ..adapters.base import Adapter
from ..backbones.base import Backbone
from ..diffusion.encoding import decode_latents, encode_prompts
from ..diffusion.generate import apply_adapters, starting_noise, taking_off
from ..diffusion.sampling import sample_latents
from ..diffusion.settings import SampleSettings

TOGETHER = 8


def sample_clips(
    backbone: Backbone,
    wanted: Sequence[tuple[str, int]],
    adapters: Sequence[tuple[Adapter, float]],
    settings: SampleSettings,
    inverted: Tensor | None = None,
) -> list[Tensor]:
    """One clip (F, 3, H, W) in [-1, 1] for every (prompt, seed).

    inverted: (1, C, F, h, w) for settings.noise_prior. The settings' own seed does not count.
    """
    clips: list[Tensor] = []
    for start in range(0, len(wanted), TOGETHER):
        some = wanted[start : start + TOGETHER]
        with ExitStack() as applied:
            applied.enter_context(apply_adapters(backbone, adapters))
            noise = torch.cat([_noise(backbone, settings, seed, inverted) for _, seed in some])
            prompt_embeds = encode_prompts(backbone, [prompt for prompt, _ in some])
            negative = encode_prompts(backbone, [settings.negative_prompt]).expand_as(prompt_embeds)
            on_step = taking_off(applied, settings.adapter_end)
            latents = sample_latents(backbone, noise, prompt_embeds, negative, settings, on_step)
        clips += [decode_latents(backbone, one) for one in latents.split(1)]
    return clips


def _noise(
    backbone: Backbone, settings: SampleSettings, seed: int, inverted: Tensor | None
) -> Tensor:
    return starting_noise(backbone, dataclasses.replace(settings, seed=seed), inverted)
