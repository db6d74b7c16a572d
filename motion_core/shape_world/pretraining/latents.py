"""Clips rendered and encoded once: what the UNets are trained on.

Latents are the VAE's posterior mean times its scaling factor, kept in float16 to halve the memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from ..motions import FRAMES
from ..renderer import Scene, draw_scene, render
from .data import to_pixels, training_caption


@dataclass(frozen=True, kw_only=True)
class LatentSet:
    """clips: (N, F, C, h, w) float16, scaled; scenes: what each shows."""

    clips: Tensor
    scenes: list[Scene]

    def draw_images(self, rng: np.random.Generator, count: int) -> tuple[Tensor, list[str]]:
        """(count, C, h, w) single frames and their captions."""
        chosen = rng.integers(len(self.scenes), size=count)
        frames = self.clips[chosen, rng.integers(FRAMES, size=count)]
        return frames.float(), [training_caption(self.scenes[i], rng) for i in chosen]

    def draw_videos(self, rng: np.random.Generator, count: int) -> tuple[Tensor, list[str]]:
        """(count, C, F, h, w) clips and their captions."""
        chosen = rng.integers(len(self.scenes), size=count)
        clips = self.clips[chosen].float().transpose(1, 2)
        return clips, [training_caption(self.scenes[i], rng) for i in chosen]


@torch.no_grad()
def encode_scenes(vae: AutoencoderKL, seed: int, count: int, look: str = "solid") -> LatentSet:
    """Renders and encodes `count` random clips of one look."""
    rng = np.random.default_rng(seed)
    scenes = [draw_scene(rng, look) for _ in range(count)]
    scale = float(vae.config["scaling_factor"])
    clips = [
        (vae.encode(to_pixels(render(scene))).latent_dist.mean * scale).half() for scene in scenes
    ]
    return LatentSet(clips=torch.stack(clips), scenes=scenes)
