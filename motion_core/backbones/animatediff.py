"""AnimateDiff: the image UNet of Stable Diffusion 1.5 with motion modules between its layers.

Guo et al., "AnimateDiff: Animate Your Personalized Text-to-Image Diffusion Models without Specific
Tuning", ICLR 2024.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from diffusers import AutoencoderKL, DDIMScheduler, UNetMotionModel
from torch import Tensor

from .base import Family
from .temporal import check_frames, skip_single_frames, spatial_linear_names, temporal_linear_names
from .text import TextEncoder


@dataclass(kw_only=True)
class AnimateDiff:
    """A Backbone on diffusers' UNetMotionModel. It takes its parts over: all are set to eval mode
    and frozen.

    version: "animatediff-sd15-v1", "-v2", "-v3" or "shape-world-…". max_frames: the motion modules'
    positional encoding holds that many (24 in v1, 32 in v2 and v3).
    """

    unet: UNetMotionModel
    vae: AutoencoderKL
    text: TextEncoder
    scheduler: DDIMScheduler
    version: str
    licence: str
    min_frames: int = 2
    max_frames: int | None = field(init=False)
    family: Family = field(default="animatediff", init=False)

    def __post_init__(self) -> None:
        for part in (self.unet, self.vae, self.text.model):
            part.eval().requires_grad_(False)
        skip_single_frames(self.unet)
        self.max_frames = int(self.unet.config["motion_max_seq_length"])

    def spatial_linears(self) -> list[str]:
        """Names in `unet` of attn1 and ff of the spatial transformers."""
        return spatial_linear_names(self.unet)

    def temporal_linears(self) -> list[str]:
        """Names in `unet` of attn1, attn2 and ff of the motion modules."""
        return temporal_linear_names(self.unet)

    def predict(self, latents: Tensor, timesteps: Tensor, prompt_embeds: Tensor) -> Tensor:
        """The network's output; see `Backbone.predict`. Inputs are cast to the UNet's dtype.

        Raises SettingsError if F is beyond the positional encoding.
        """
        frames = latents.shape[2]
        check_frames(self, frames)
        dtype = self.unet.conv_in.weight.dtype
        # UNetMotionModel wants one prompt a frame, clip by clip.
        per_frame = prompt_embeds.to(dtype).repeat_interleave(frames, dim=0)
        return self.unet(latents.to(dtype), timesteps, per_frame, return_dict=False)[0]
