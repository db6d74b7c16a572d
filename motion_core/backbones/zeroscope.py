"""ZeroScope and ModelScope text-to-video: a UNet with temporal convolutions and temporal attention.

Wang et al., "ModelScope Text-to-Video Technical Report", 2023; ZeroScope (cerspense) is the same
network trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from diffusers import AutoencoderKL, DDIMScheduler, UNet3DConditionModel
from torch import Tensor

from .base import Family
from .temporal import check_frames, skip_single_frames, spatial_linear_names, temporal_linear_names
from .text import TextEncoder


@dataclass(kw_only=True)
class ZeroScope:
    """A Backbone on diffusers' UNet3DConditionModel. It takes its parts over: all are set to eval
    mode and frozen.

    version: "zeroscope" or "shape-world-…". There is no positional encoding, so any number of
    frames runs.
    """

    unet: UNet3DConditionModel
    vae: AutoencoderKL
    text: TextEncoder
    scheduler: DDIMScheduler
    version: str
    licence: str
    min_frames: int = 2
    max_frames: int | None = None
    family: Family = field(default="zeroscope", init=False)

    def __post_init__(self) -> None:
        for part in (self.unet, self.vae, self.text.model):
            part.eval().requires_grad_(False)
        skip_single_frames(self.unet)

    def spatial_linears(self) -> list[str]:
        """Names in `unet` of attn1 and ff of the spatial transformers."""
        return spatial_linear_names(self.unet)

    def temporal_linears(self) -> list[str]:
        """Names in `unet` of attn1, attn2 and ff of `transformer_in` and the `temp_attentions`."""
        return temporal_linear_names(self.unet)

    def predict(self, latents: Tensor, timesteps: Tensor, prompt_embeds: Tensor) -> Tensor:
        """The network's output; see `Backbone.predict`. Inputs are cast to the UNet's dtype."""
        check_frames(self, latents.shape[2])
        dtype = self.unet.conv_in.weight.dtype
        embeds = prompt_embeds.to(dtype)
        return self.unet(latents.to(dtype), timesteps, embeds, return_dict=False)[0]
