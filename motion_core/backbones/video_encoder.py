"""Frames to latents and back.

In: frames (F, 3, H, W) in [-1, 1]. Out: latents (1, C, F', h, w), scaled as the network sees them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from diffusers import AutoencoderKL
    from diffusers.models.modeling_utils import ModelMixin

# Pixels that pass through a VAE at once: two frames of 512x512, about 2 GB of activations in
# float32.
SLICE_PIXELS = 2 * 512 * 512


class VideoEncoder(Protocol):
    """Computes where its model is. The same frames always give the same latents.

    model: what has weights and a configuration. channels: C. pixels_per_latent: H / h and W / w.
    """

    @property
    def model(self) -> ModelMixin: ...

    @property
    def channels(self) -> int: ...

    @property
    def pixels_per_latent(self) -> int: ...

    def encode(self, frames: Tensor) -> Tensor:
        """(F, 3, H, W) in [-1, 1] to (1, C, F', h, w), float32 on the CPU."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """(1, C, F', h, w) to (F, 3, H, W), float32 on the CPU; beyond [-1, 1] is cut off."""
        ...


@dataclass(frozen=True)
class FrameByFrame:
    """The VAE of an image model: each frame by itself, the posterior's mode × its scaling factor.

    So many frames at once as SLICE_PIXELS allow.

    Deviation: the official MotionDirector and Motion Inversion sample the posterior, once for each
    clip, as they keep its latents. The mode is the middle of what they draw from, and the same in
    every run: one that goes on, or is looked up, has to find the latents that it began with.
    """

    model: AutoencoderKL

    @property
    def channels(self) -> int:
        return int(self.model.config["latent_channels"])

    @property
    def pixels_per_latent(self) -> int:
        return 2 ** (len(self.model.config["block_out_channels"]) - 1)

    def encode(self, frames: Tensor) -> Tensor:
        """See `VideoEncoder`; F' = F."""
        vae = self.model
        parts = [
            vae.encode(part.to(vae.device, vae.dtype), return_dict=False)[0]
            .mode()
            .to("cpu", torch.float32)
            for part in frames.split(_frames_at_once(frames.shape[2] * frames.shape[3]))
        ]
        latents = torch.cat(parts) * vae.config["scaling_factor"]
        return latents.transpose(0, 1)[None].contiguous()

    def decode(self, latents: Tensor) -> Tensor:
        """See `VideoEncoder`; F' = F."""
        vae = self.model
        frames = latents[0].transpose(0, 1) / vae.config["scaling_factor"]
        pixels = frames.shape[2] * frames.shape[3] * self.pixels_per_latent**2
        decoded = [
            vae.decode(part.to(vae.device, vae.dtype), return_dict=False)[0]
            .to("cpu", torch.float32)
            .clamp(-1, 1)
            for part in frames.split(_frames_at_once(pixels))
        ]
        return torch.cat(decoded)


def _frames_at_once(pixels: int) -> int:
    return max(1, SLICE_PIXELS // pixels)
