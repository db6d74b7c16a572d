"""What the core asks of a video diffusion model, whatever its family."""

from __future__ import annotations

from typing import Literal, Protocol

from diffusers import AutoencoderKL, DDIMScheduler
from torch import Tensor, nn

from .text import TextEncoder

Family = Literal["animatediff", "zeroscope"]


class Backbone(Protocol):
    """A frozen video model and all that belongs to it. It owns components, not a diffusers
    pipeline.

    family, version: which adapters fit ("animatediff" and "animatediff-sd15-v3", say).
    scheduler: the noise schedule and prediction type; a DDIMScheduler that is never stepped, only
    read or copied. min_frames, max_frames: what the temporal modules take; max_frames None means
    any number. licence: of the weights, for the adapter's metadata.
    """

    @property
    def family(self) -> Family: ...

    @property
    def version(self) -> str: ...

    @property
    def network(self) -> nn.Module: ...

    @property
    def vae(self) -> AutoencoderKL: ...

    @property
    def text(self) -> TextEncoder: ...

    @property
    def scheduler(self) -> DDIMScheduler: ...

    @property
    def min_frames(self) -> int: ...

    @property
    def max_frames(self) -> int | None: ...

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
        """The network's output, of the scheduler's prediction type.

        latents: (B, C, F, h, w). timesteps: (B,) int64. prompt_embeds: (B, L, D). With F = 1 every
        temporal module is skipped, also when a checkpointed block is recomputed in backward.
        Returns (B, C, F, h, w).
        """
        ...
