"""Loads the bases that ship with the pack, from files in the full-size models' own formats.

`shape-world-animatediff`: an image UNet in a Stable Diffusion checkpoint (the shipped one, the
personalised one, or a file of yours) with AnimateDiff motion modules. `shape-world-zeroscope`: a
UNet3D in a ModelScope file. Both share one VAE and the text tower of one open_clip model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import nn

from ..backbones.animatediff import AnimateDiff, checkpoint_unet_keys
from ..backbones.files.components import vae_from_file
from ..backbones.files.keys import motion_keys, with_prefix
from ..backbones.files.kinds import LDM_UNET, require_role
from ..backbones.files.loading import Section, build_empty, fill
from ..backbones.files.roles import Role
from ..backbones.files.tensors import open_tensors
from ..backbones.image_encoder import OwnImageEncoder
from ..backbones.text import TextEncoder
from ..backbones.zeroscope import ZeroScope, modelscope_keys
from ..errors import FormatError
from .clip_model import WIDTH, image_encoder, load_clip, text_encoder
from .networks import build_motion_unet, build_scheduler, build_unet3d
from .vocabulary import load_tokenizer

WEIGHTS = Path(__file__).parent / "weights"
IMAGE = WEIGHTS / "image.safetensors"
PERSONALISED = WEIGHTS / "personalised.safetensors"
MOTION_MODULE = WEIGHTS / "motion_module.safetensors"
VIDEO = WEIGHTS / "zeroscope.safetensors"
VAE = WEIGHTS / "vae.safetensors"

ANIMATEDIFF = "shape-world-animatediff"
ZEROSCOPE = "shape-world-zeroscope"
SHIPPED: Mapping[str, str] = {"animatediff": ANIMATEDIFF, "zeroscope": ZEROSCOPE}
"""The bases by the form that each has."""
CHECKPOINTS: Mapping[str, Mapping[str, Path]] = {ANIMATEDIFF: {"personalised": PERSONALISED}}
"""Other checkpoints that take a base's adapters, by base and name."""
MOTION_MODULE_VERSION = ANIMATEDIFF

LICENCE = "Apache-2.0"
IMAGE_ENCODER = OwnImageEncoder(load=image_encoder, width=WIDTH)


def load_shape_world(
    name: str,
    checkpoint: Path | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> AnimateDiff | ZeroScope:
    """The base `name`, in evaluation mode and frozen.

    checkpoint: another image checkpoint of the same size for `shape-world-animatediff`, such as
    `PERSONALISED`. Raises FormatError for an unknown name, and for a checkpoint that does not fit.
    """
    if name == ANIMATEDIFF:
        return _animatediff(checkpoint or IMAGE, dtype, device)
    if name != ZEROSCOPE:
        raise FormatError(
            f"There is no base {name!r}. Shape world has {ANIMATEDIFF} and {ZEROSCOPE}."
        )
    if checkpoint is not None:
        raise FormatError(
            f"{ZEROSCOPE} does not use an image checkpoint. Leave it out, or use {ANIMATEDIFF}."
        )
    return _zeroscope(dtype, device)


def _animatediff(checkpoint: Path, dtype: torch.dtype, device: torch.device | str) -> AnimateDiff:
    image = open_tensors(checkpoint)
    require_role(image, (Role.SD15_CHECKPOINT, Role.IMAGE_UNET), "an image checkpoint")
    unet = build_empty(build_motion_unet, ANIMATEDIFF)
    sections = [
        Section(
            file=image,
            keys=checkpoint_unet_keys(unet),
            part="shape world's image UNet",
            prefix=LDM_UNET,
        ),
        Section(
            file=open_tensors(MOTION_MODULE),
            keys=motion_keys(unet.state_dict()),
            part="shape world's motion modules",
        ),
    ]
    return AnimateDiff(
        network=fill(unet, sections, dtype, device),
        vae=vae_from_file(open_tensors(VAE), dtype, device),
        text=_text(dtype, device),
        scheduler=build_scheduler("linear"),
        version=ANIMATEDIFF,
        licence=LICENCE,
        image_encoder=IMAGE_ENCODER,
    )


def _zeroscope(dtype: torch.dtype, device: torch.device | str) -> ZeroScope:
    unet = build_empty(build_unet3d, ZEROSCOPE)
    section = Section(
        file=open_tensors(VIDEO),
        keys=with_prefix(modelscope_keys(unet), LDM_UNET),
        part="shape world's UNet3D",
        prefix=LDM_UNET,
    )
    return ZeroScope(
        network=fill(unet, [section], dtype, device),
        vae=vae_from_file(open_tensors(VAE), dtype, device),
        text=_text(dtype, device),
        scheduler=build_scheduler("scaled_linear"),
        version=ZEROSCOPE,
        licence=LICENCE,
        image_encoder=IMAGE_ENCODER,
    )


def _text(dtype: torch.dtype, device: torch.device | str) -> TextEncoder:
    tokenizer = load_tokenizer()
    encoder = text_encoder(load_clip(tokenizer), tokenizer)
    cast(nn.Module, encoder.model).to(device=device, dtype=dtype)
    return encoder
