"""What the families on diffusers' video UNets share: an image model's VAE and DDIM schedule, and
spatial and temporal transformers that lie apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet3DConditionModel, UNetMotionModel
from torch import nn

from ..errors import FormatError
from . import depth
from .base import Keeps
from .checkpointing import training_passes
from .image_encoder import OwnImageEncoder
from .schedules.ddim import DdimSchedule
from .sites import Blocks, named_by_role
from .temporal import skip_single_frames, spatial_linear_names, temporal_linear_names
from .text import TextEncoder
from .video_encoder import FrameByFrame

Network = TypeVar("Network", UNetMotionModel, UNet3DConditionModel)
Names = Callable[[nn.Module], list[str]]

# Of the first level of the UNets whose memory was measured.
_MEASURED_CHANNELS = 320
# ComfyUI's estimate of what Stable Diffusion 1.5 takes to predict one latent cell, in bytes for
# each byte of a number (`memory_required` of its BaseModel).
_SAMPLING_BYTES = 10486


def _spatial_attention(unet: nn.Module) -> list[str]:
    return [name for name in spatial_linear_names(unet) if ".attn1." in name]


def _temporal_projections(unet: nn.Module) -> list[str]:
    """As in VMC's official code without those of `transformer_in`, at the entry of ZeroScope's
    UNet.
    """
    return [
        name
        for name in temporal_linear_names(unet)
        if name.endswith((".to_q", ".to_k", ".to_v")) and not name.startswith("transformer_in.")
    ]


def _temporal_queries_keys(unet: nn.Module) -> list[str]:
    return [name for name in temporal_linear_names(unet) if name.endswith((".to_q", ".to_k"))]


SITES: Mapping[str, Names] = {
    "temporal": temporal_linear_names,
    "temporal_projections": _temporal_projections,
    "temporal_queries_keys": _temporal_queries_keys,
    "spatial": spatial_linear_names,
    "spatial_attention": _spatial_attention,
}
PARAMETERS: Mapping[str, Names] = {
    "temporal": depth.temporal_parameter_names,
    "spatial_attention": depth.spatial_attention_parameter_names,
}


@dataclass(kw_only=True)
class VideoUNet(Generic[Network]):
    """A Backbone but for its family, its frames and `predict`. It takes its parts over: all are set
    to eval mode and frozen.

    scheduler: read or copied, never stepped. image_encoder: None if the base has none of its own.
    cell_bytes: what a cell of the latents takes in training, by the bytes of a number and what is
    kept, counted by benchmarks/cell_memory.py: the peaks of MotionDirector's
    temporal pass at full size, which grow with the cells alone.
    """

    cell_bytes: ClassVar[Mapping[tuple[int, Keeps], int]]

    network: Network
    vae: AutoencoderKL
    text: TextEncoder
    scheduler: DDIMScheduler
    version: str
    licence: str
    image_encoder: OwnImageEncoder | None = None

    def __post_init__(self) -> None:
        self._check_parts_fit()
        for part in (self.network, self.vae, self.text.model):
            part.eval().requires_grad_(False)
        skip_single_frames(self.network)

    def _check_parts_fit(self) -> None:
        """Raises FormatError for a VAE or a text encoder of another model."""
        unet: Any = self.network.config
        latents, width = self.vae.config["latent_channels"], self.text.model.config.hidden_size
        if latents != unet["in_channels"]:
            raise FormatError(
                f"The VAE's latents have {latents} channels, but the UNet takes "
                f"{unet['in_channels']}. Use a VAE of the UNet's model."
            )
        if width != unet["cross_attention_dim"]:
            raise FormatError(
                f"The text encoder's output is {width} wide, but the UNet takes "
                f"{unet['cross_attention_dim']}. Use the text encoder of the UNet's model."
            )

    @property
    def video_encoder(self) -> FrameByFrame:
        return FrameByFrame(self.vae)

    @property
    def schedule(self) -> DdimSchedule:
        return DdimSchedule(self.scheduler)

    def sites(self, role: str) -> list[str]:
        """See `Backbone.sites`; "temporal" is attn1, attn2 and ff of the temporal transformers,
        "spatial" attn1 and ff of the spatial ones.
        """
        return named_by_role(self.version, SITES, role)(self.network)

    def parameters(self, role: str) -> list[str]:
        """See `Backbone.parameters`; "temporal" includes temporal convolutions."""
        return named_by_role(self.version, PARAMETERS, role)(self.network)

    def in_blocks(self, names: Iterable[str], blocks: Blocks) -> list[str]:
        """See `Backbone.in_blocks`; the deep blocks are the middle and the coarser half."""
        return depth.in_blocks(names, blocks, self.network)

    def training_passes(self, keeps: Keeps) -> AbstractContextManager[None]:
        """See `Backbone.training_passes`."""
        return training_passes(self.network, keeps)

    def sampling_bytes(self, cells: int, dtype: torch.dtype) -> int:
        """See `Backbone.sampling_bytes`."""
        return cells * dtype.itemsize * _SAMPLING_BYTES * self._channels // _MEASURED_CHANNELS

    def training_bytes(self, cells: int, dtype: torch.dtype, keeps: Keeps) -> int:
        """See `Backbone.training_bytes`."""
        per_cell = self.cell_bytes[dtype.itemsize, keeps]
        return cells * per_cell * self._channels // _MEASURED_CHANNELS

    @property
    def _channels(self) -> int:
        config: Any = self.network.config
        return int(config["block_out_channels"][0])
