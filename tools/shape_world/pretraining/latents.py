"""Clips rendered and encoded once: what the UNets are trained on.

Latents are the VAE's posterior mean times its scaling factor, kept in float16 to halve the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from motion_core.shape_world.motions import FRAMES, SIZE
from motion_core.shape_world.renderer import Scene, draw_scene, render

from .data import to_pixels, training_caption

OBJECT_WEIGHT = 4.0
REACH = 4.0
CELL = 8


class Drawn(NamedTuple):
    """One batch: latents, the loss's weight at every place of them, and captions. beside: latents
    of the same frames in another look."""

    latents: Tensor
    weights: Tensor
    prompts: list[str]
    beside: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class LatentSet:
    """clips: (N, F, C, h, w) float16, scaled. weights: (N, F, 1, h, w), of the loss: an object
    covers few cells, and its shape is the last thing that a base learns. scenes: what is seen."""

    clips: Tensor
    weights: Tensor
    scenes: list[Scene]

    @classmethod
    def of(cls, clips: Tensor, scenes: list[Scene]) -> LatentSet:
        """Encoded clips and the scenes that they show."""
        return cls(
            clips=clips, weights=torch.stack([loss_weights(s) for s in scenes]), scenes=scenes
        )

    def draw_images(
        self, rng: np.random.Generator, count: int, other: LatentSet | None = None
    ) -> Drawn:
        """Single frames (count, C, h, w). other: the same scenes, or more, in another look."""
        chosen = rng.integers(len(self.scenes), size=count)
        places = chosen, rng.integers(FRAMES, size=count)
        prompts = [training_caption(self.scenes[i], rng) for i in chosen]
        beside = None if other is None else other.clips[places].float()
        return Drawn(self.clips[places].float(), self.weights[places], prompts, beside)

    def draw_videos(self, rng: np.random.Generator, count: int) -> Drawn:
        """Clips (count, C, F, h, w)."""
        chosen = rng.integers(len(self.scenes), size=count)
        prompts = [training_caption(self.scenes[i], rng) for i in chosen]
        latents, weights = self.clips[chosen].float(), self.weights[chosen]
        return Drawn(latents.transpose(1, 2), weights.transpose(1, 2), prompts)


def loss_weights(scene: Scene) -> Tensor:
    """(F, 1, 8, 8): 4 in cells whose centre is within 4 pixels of the object, 1 elsewhere."""
    centres = (np.arange(SIZE // CELL) + 0.5) * CELL
    x, y, radius = (column[:, None, None] for column in scene.track.on_screen().T)
    distance = np.hypot(centres[None, None, :] - x, centres[None, :, None] - y)
    weights = np.where(distance < radius + REACH, OBJECT_WEIGHT, 1.0)
    return torch.from_numpy(weights.astype(np.float32)).unsqueeze(1)


def draw_scenes(seed: int, count: int, look: str) -> list[Scene]:
    """Random scenes of one look; the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [draw_scene(rng, look) for _ in range(count)]


@torch.no_grad()
def encode_scenes(vae: AutoencoderKL, scenes: Sequence[Scene]) -> Tensor:
    """(N, F, C, h, w) float16: the posterior means of every frame, scaled."""
    scale = float(vae.config["scaling_factor"])
    clips = [
        (vae.encode(to_pixels(render(scene)), return_dict=False)[0].mean * scale).half()
        for scene in scenes
    ]
    return torch.stack(clips)
