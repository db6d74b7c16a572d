"""What the core asks of a video diffusion model, whatever its family."""

from __future__ import annotations

from typing import Literal, Protocol

from torch import Tensor, nn

from .frames import FrameRule
from .schedules.base import Schedule
from .text import TextEncoder
from .video_encoder import VideoEncoder

Family = Literal["animatediff", "zeroscope"]


class Backbone(Protocol):
    """A frozen video model and all that belongs to it. It owns components, not a diffusers
    pipeline.

    family, version: which adapters fit ("animatediff" and "animatediff-sd15-v3", say).
    licence: of the weights, for the adapter's metadata.
    """

    @property
    def family(self) -> Family: ...

    @property
    def version(self) -> str: ...

    @property
    def network(self) -> nn.Module: ...

    @property
    def video_encoder(self) -> VideoEncoder: ...

    @property
    def text(self) -> TextEncoder: ...

    @property
    def schedule(self) -> Schedule: ...

    @property
    def frame_rule(self) -> FrameRule: ...

    @property
    def licence(self) -> str: ...

    def spatial_linears(self) -> list[str]:
        """Names in `network` of the linear layers that a spatial LoRA adapts: attn1 and ff of
        spatial transformers.
        """
        ...

    def temporal_linears(self) -> list[str]:
        """Names in `network` of the linear layers that a temporal LoRA adapts: attn1, attn2 and ff
        of temporal ones.
        """
        ...

    def predict(self, latents: Tensor, timesteps: Tensor, prompt_embeds: Tensor) -> Tensor:
        """The network's output, which `schedule` says how to read.

        latents: (B, C, F, h, w). timesteps: (B,), of the schedule. prompt_embeds: (B, L, D). With
        F = 1 temporal modules are skipped, also when a checkpointed block is recomputed in
        backward. Returns (B, C, F, h, w).
        """
        ...


def latent_shape(
    backbone: Backbone, frames: int, height: int, width: int
) -> tuple[int, int, int, int, int]:
    """(1, C, F', h, w) of a video of so many frames and pixels."""
    encoder = backbone.video_encoder
    height, width = (size // encoder.pixels_per_latent for size in (height, width))
    return 1, encoder.channels, backbone.frame_rule.latent_frames(frames), height, width


def pixel_shape(backbone: Backbone, latents: Tensor) -> tuple[int, int, int]:
    """(frames, height, width) of the video that latents (B, C, F', h, w) are."""
    _, _, frames, height, width = latents.shape
    pixels = backbone.video_encoder.pixels_per_latent
    return backbone.frame_rule.pixel_frames(frames), height * pixels, width * pixels
