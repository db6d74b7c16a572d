"""Writes freshly trained networks as the files that ship: float16, in the full-size models' own
formats.

In: the float32 networks of one pretraining. Out: the files that `base.py` loads, and
`pretraining.json`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel, UNet3DConditionModel, UNetMotionModel
from torch import Tensor, nn

from motion_core.backbones.animatediff import checkpoint_unet_keys
from motion_core.backbones.files.architecture import as_metadata, plain_config
from motion_core.backbones.files.keys import KeyMap, motion_keys, vae_keys, with_prefix
from motion_core.backbones.files.kinds import LDM_UNET
from motion_core.backbones.files.loading import gather
from motion_core.backbones.files.tensors import write_tensors
from motion_core.backbones.zeroscope import modelscope_keys
from motion_core.shape_world.networks import with_motion_modules


def export_image_unet(unet: UNet2DConditionModel, path: Path) -> None:
    """As a Stable Diffusion checkpoint that holds a UNet alone."""
    video = with_motion_modules(unet)
    _write(video, checkpoint_unet_keys(video), path)


def export_motion_module(unet: UNetMotionModel, path: Path) -> None:
    """As an AnimateDiff motion module."""
    _write(unet, motion_keys(unet.state_dict()), path)


def export_unet3d(unet: UNet3DConditionModel, path: Path) -> None:
    """As a ModelScope file that holds a UNet alone."""
    _write(unet, with_prefix(modelscope_keys(unet), LDM_UNET), path)


def export_vae(vae: AutoencoderKL, path: Path) -> None:
    """As a Stable Diffusion VAE; its scaling factor goes into the metadata."""
    levels = len(vae.config["block_out_channels"])
    metadata = as_metadata({"vae": plain_config(vae.config)})
    _write(vae, vae_keys(vae.state_dict(), levels), path, metadata)


def export_clip(clip: nn.Module, path: Path) -> None:
    """With open_clip's own keys."""
    write_tensors(path, _halved(clip.state_dict()), {})


def _write(
    model: nn.Module, keys: KeyMap, path: Path, metadata: dict[str, str] | None = None
) -> None:
    write_tensors(path, _halved(gather(model, keys)), metadata or {})


def _halved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.to(torch.float16) for name, tensor in tensors.items()}
