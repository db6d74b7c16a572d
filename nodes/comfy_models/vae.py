"""The core's VAEs as ComfyUI's VAE.

In: a diffusers AutoencoderKL. Out: a `comfy.sd.VAE`. Stable Diffusion's form runs on ComfyUI's own
network; another one, such as shape world's (fewer channels than ComfyUI's norms have groups, no
attention), stays diffusers' and gets ComfyUI's encode and decode.
"""

from __future__ import annotations

import copy
from typing import Any

import comfy.ldm.models.autoencoder
import comfy.model_management as management
import comfy.model_patcher
import comfy.sd
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from ...motion_core.backbones.files.keys import vae_keys
from ...motion_core.backbones.files.loading import gather

SD_WIDTHS = (128, 256, 512, 512)

# The smallest of ComfyUI's own VAEs with 4 latent channels and 8 pixels a cell.
_SMALLEST = {
    "embed_dim": 4,
    "ddconfig": {
        "double_z": True,
        "z_channels": 4,
        "resolution": 64,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 32,
        "ch_mult": [1, 1, 1, 1],
        "num_res_blocks": 1,
        "attn_resolutions": [],
        "dropout": 0.0,
    },
}


class PlainVAE(nn.Module):
    """An AutoencoderKL with the interface of ComfyUI's VAE networks."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae

    def encode(self, pixels: Tensor) -> Tensor:
        """The posterior's mode (B, 4, h, w), not scaled, of pixels (B, 3, H, W) in [-1, 1]."""
        return self.vae.encode(pixels, return_dict=False)[0].mode()

    def decode(self, latents: Tensor, **options: Any) -> Tensor:
        """Pixels (B, 3, H, W) about [-1, 1] of latents (B, 4, h, w) that are not scaled."""
        return self.vae.decode(latents, return_dict=False)[0]  # type: ignore[arg-type]


def vae_from_core(vae: AutoencoderKL) -> comfy.sd.VAE:
    """A VAE with a copy of the weights."""
    widths = tuple(vae.config["block_out_channels"])
    if widths != SD_WIDTHS or not vae.config["mid_block_add_attention"]:
        return _plain_vae(vae)
    return comfy.sd.VAE(sd=gather(vae, vae_keys(vae.state_dict(), len(widths))))


def _plain_vae(vae: AutoencoderKL) -> comfy.sd.VAE:
    """comfy.sd.VAE has its many attributes (sizes, ratios, estimates) only for networks that it
    builds itself: it builds a small one of the same form, in whose place the VAE is then put.
    """
    stand_in = comfy.ldm.models.autoencoder.AutoencoderKL(**copy.deepcopy(_SMALLEST))
    config = {"params": copy.deepcopy(_SMALLEST)}
    # So small a network gains nothing from half precision, and loses colours.
    made = comfy.sd.VAE(sd=stand_in.state_dict(), config=config, dtype=torch.float32)
    network = PlainVAE(copy.deepcopy(vae)).to(torch.float32).eval().requires_grad_(False)
    offload = management.vae_offload_device()
    made.first_stage_model = network.to(offload)
    made.patcher = comfy.model_patcher.ModelPatcher(network, made.device, offload)
    made.size = None  # of the stand-in until now
    return made
