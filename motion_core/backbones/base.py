"""What the core asks of a video diffusion model, whatever its family."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from ..errors import SettingsError
from .frames import FrameRule
from .image_encoder import OwnImageEncoder
from .schedules.base import Schedule
from .sites import Blocks
from .text import TextEncoder
from .video_encoder import VideoEncoder

Family = str
"""The name of a family in `families.FAMILIES`."""
Keeps = Literal["all", "outputs", "inputs"]
"""What a training step keeps of each layer for its backward pass: all that it needs; the outputs of
large convolutions and of attention, and what goes into the layer; or that alone.
"""


class Backbone(Protocol):
    """A frozen video model and all that belongs to it. It owns components, not a diffusers
    pipeline.

    family: which adapters fit; a name of `families.FAMILIES`. version: which model of the family
    it is, "animatediff-sd15-v3" say. network: what is trained with adapters on it. licence: of the
    weights, for the adapter's metadata. image_encoder: the base's own; None without one.
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

    @property
    def image_encoder(self) -> OwnImageEncoder | None: ...

    def sites(self, role: str) -> list[str]:
        """Names in `network` of the linear layers of a role, which adapters change; see `sites` for
        the roles. Raises AdapterError for a role that it does not have.
        """
        ...

    def parameters(self, role: str) -> list[str]:
        """Names in `network` of a role's parameters, for methods that train whole weights. Raises
        AdapterError for a role that has none.
        """
        ...

    def in_blocks(self, names: Iterable[str], blocks: Blocks) -> list[str]:
        """Those of the names (of parameters or layers) that lie in the chosen blocks."""
        ...

    def training_passes(self, keeps: Keeps) -> AbstractContextManager[None]:
        """Within the context the network computes as a training needs it: what it does not keep is
        computed again in the backward pass, which may run inside or outside. Non-reentrant.
        """
        ...

    def training_bytes(self, cells: int, dtype: torch.dtype, keeps: Keeps) -> int:
        """What a training step keeps for its backward pass, by estimate. cells: of all latents in
        it. dtype: that the network computes in.
        """
        ...

    def sampling_bytes(self, cells: int, dtype: torch.dtype) -> int:
        """What a forward pass takes, by estimate; see `training_bytes`."""
        ...

    def predict(self, latents: Tensor, timesteps: Tensor, prompt_embeds: Tensor) -> Tensor:
        """The network's output, which `schedule` says how to read.

        latents: (B, C, F, h, w). timesteps: (B,), of the schedule. prompt_embeds: (B, L, D). With
        F = 1 temporal modules are skipped, also when a checkpointed block is recomputed in
        backward. Returns (B, C, F, h, w).
        """
        ...


def check_frames(backbone: Backbone, frames: int) -> None:
    """Raises SettingsError if the backbone does not take a video of so many frames."""
    if misfit := backbone.frame_rule.misfit(frames):
        problem, takes = misfit
        raise SettingsError(
            f"{frames} frames are {problem} for {backbone.version}, which supports {takes}. Use "
            "another number of frames."
        )


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
