"""Bases, clips and predictions that are the same on every machine: what fixtures were made with.

`tests.tiny` draws its weights as the libraries start them, which differs from one version to the
next. Here every parameter follows from its name alone, in steps that floating point takes exactly.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import lru_cache

import torch
from torch import Tensor, nn

from motion_core.adapters.base import Adapter
from motion_core.adapters.injector import InjectorAdapter
from motion_core.backbones.base import Backbone
from motion_core.diffusion.encoding import encode_prompts
from motion_core.types import LatentClip

from .tiny import CONTEXT_LENGTH, PROMPT_DIM, tiny_animatediff, tiny_zeroscope

FRAMES, SIDE, IMAGE_WIDTH = 3, 4, 6
PROMPT = "a cat jumping high"


@lru_cache
def known_animatediff() -> Backbone:
    """The tiny AnimateDiff with known weights; the same one for all, so leave it as it is."""
    return _filled(tiny_animatediff())


@lru_cache
def known_zeroscope() -> Backbone:
    """The tiny ZeroScope with known weights; the same one for all, so leave it as it is."""
    return _filled(tiny_zeroscope())


KNOWN_BASES: dict[str, Callable[[], Backbone]] = {
    "animatediff": known_animatediff,
    "zeroscope": known_zeroscope,
}


def known_values(name: str, shape: Sequence[int]) -> Tensor:
    """Values from −1 to 1 that follow from the name: torch's generator gives whole numbers over
    2^24, which doubling and subtracting 1 leave exact.
    """
    rng = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.rand(tuple(shape), generator=rng) * 2 - 1


def known_clip(number: int = 0, image_width: int = IMAGE_WIDTH) -> LatentClip:
    """A clip of 32x32 pixels and 3 frames. image_width: of its image embeddings."""
    return LatentClip(
        latents=known_values(f"latents {number}", (1, 4, FRAMES, SIDE, SIDE)) * 2,
        prompt_embeds=known_values(f"prompt {number}", (1, CONTEXT_LENGTH, PROMPT_DIM)),
        prompt=PROMPT,
        fps=8.0,
        digest=f"known clip {number}",
        source=f"clip-{number}.mp4",
        image_embeds=known_values(f"image {number}", (FRAMES, image_width)),
    )


def prediction(
    backbone: Backbone, adapters: Sequence[Adapter] = (), prompt: str = PROMPT
) -> Tensor:
    """What the base predicts with these adapters at strength 1, for known latents and a prompt that
    is encoded under them. An injector gets an image, without which it does nothing.
    """
    with ExitStack() as stack:
        for adapter in adapters:
            if isinstance(adapter, InjectorAdapter):
                adapter = _with_image(adapter)
            stack.enter_context(adapter.applied(backbone, 1.0))
        embeds = encode_prompts(backbone, [prompt])
        latents = known_values("noisy", (1, 4, FRAMES, SIDE, SIDE)) * 2
        with torch.no_grad():
            return backbone.predict(latents, torch.tensor([500]), embeds)


def _with_image(adapter: InjectorAdapter) -> InjectorAdapter:
    width = next(iter(adapter.weights.values())).shape[1]
    return adapter.with_image(known_values("image", (1, width)))


def _filled(backbone: Backbone) -> Backbone:
    """Norms scale by about 1; all else lies about 0, so that signals neither die nor grow."""
    for part in (backbone.network, backbone.vae, backbone.text.model):
        modules = dict(part.named_modules())
        with torch.no_grad():
            for name, parameter in part.named_parameters():
                values = known_values(name, parameter.shape)
                norm = isinstance(
                    modules[name.rpartition(".")[0]], nn.GroupNorm | nn.LayerNorm
                ) and name.endswith("weight")
                spread = 0.25 if norm or parameter.ndim < 2 else 0.5
                parameter.copy_(values * spread + (1.0 if norm else 0.0))
    return backbone
