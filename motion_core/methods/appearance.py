"""Which clips look alike: each appearance has a spatial LoRA of its own, which keeps it out of the
motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..adapters.base import Scope
from ..backbones.base import Backbone
from ..errors import ClipError
from .base import LossTerm
from .defaults import Material
from .losses import frames_at, mse
from .noisy_latents import NoisyLatents


class Source(Protocol):
    """What is read of a clip, encoded or not. video: see `Clip`."""

    @property
    def video(self) -> str: ...

    @property
    def prompt(self) -> str: ...

    @property
    def is_image(self) -> bool: ...


def appearance_names(clips: Sequence[Source]) -> list[str]:
    """The name of each clip's spatial LoRA: the windows of a video share one, and so do all images.

    Images of one run are pictures of one subject, and make one appearance (MotionDirector,
    config_multi_images.yaml, single_spatial_lora). Raises ClipError without clips.
    """
    if not clips:
        raise ClipError("No clips to train on. Add at least one clip or image.")
    appearances = [
        "images" if clip.is_image else ("video", clip.video or index)
        for index, clip in enumerate(clips)
    ]
    numbers = {one: number for number, one in enumerate(dict.fromkeys(appearances))}
    return [f"spatial.{numbers[one]}" for one in appearances]


def material_of(clips: Sequence[Source], frames: int | None = None) -> Material:
    """What a training on these clips has. frames: see `Material`."""
    names = appearance_names(clips) if clips else []
    videos = {name for name, clip in zip(names, clips, strict=True) if not clip.is_image}
    images = sum(clip.is_image for clip in clips)
    prompts = tuple(dict.fromkeys(clip.prompt for clip in clips if not clip.is_image))
    return Material(videos=len(videos), images=images, frames=frames, prompts=prompts)


def loras_of(clips: Sequence[Source]) -> dict[str, Scope]:
    """The LoRAs that tell motion from appearance, by name: a spatial one for each appearance, then
    "temporal", if any clip moves. Raises ClipError without clips.
    """
    scopes: dict[str, Scope] = dict.fromkeys(appearance_names(clips), "spatial")
    return scopes if all(clip.is_image for clip in clips) else {**scopes, "temporal": "temporal"}


def dropped(probability: float, rng: torch.Generator) -> bool:
    """Whether a step goes without its spatial LoRA."""
    return bool(torch.rand((), generator=rng) < probability)


def single_frame_term(
    backbone: Backbone, drawn: NoisyLatents, prompt_embeds: Tensor, group: str, rng: torch.Generator
) -> LossTerm:
    """The loss of one random frame i of each video, without temporal modules: mean (ε̂_i - ε_i)²;
    MotionDirector, Eq. 4.
    """
    frames = torch.randint(drawn.latents.shape[2], (len(drawn.latents),), generator=rng)
    pred = backbone.predict(frames_at(drawn.latents, frames), drawn.timesteps, prompt_embeds)
    return LossTerm("spatial", mse(pred, frames_at(drawn.target, frames)), group)
