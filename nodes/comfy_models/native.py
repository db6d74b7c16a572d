"""A base of the core as ordinary ComfyUI objects, which the core's own nodes take: KSampler,
LoraLoader, VAEDecode.

In: a loaded backbone. Out: MODEL, CLIP and VAE. The MODEL of AnimateDiff's form is the image model,
and Apply Motion to AnimateDiff puts the motion modules in; that of ZeroScope's form makes videos as
it is.
"""

from __future__ import annotations

import comfy.sd
import torch
from comfy.model_patcher import ModelPatcher

from ...motion_core.backbones.animatediff import AnimateDiff
from ...motion_core.backbones.base import Backbone
from ...motion_core.backbones.zeroscope import ZeroScope
from .clip import clip_from_text
from .image_model import image_model
from .vae import vae_from_core
from .zeroscope import zeroscope_model

Objects = tuple[ModelPatcher, comfy.sd.CLIP, comfy.sd.VAE]


def sample_objects(backbone: Backbone) -> Objects:
    """Shape world's MODEL, CLIP and VAE.

    All is float32, on every device: networks so small gain nothing from half precision.
    """
    if isinstance(backbone, AnimateDiff):
        model, tower = image_model(backbone), "l"
    else:
        assert isinstance(backbone, ZeroScope)
        model, tower = zeroscope_model(backbone, torch.float32), "h"
    return model, clip_from_text(backbone.text, tower, torch.float32), vae_from_core(backbone.vae)


def zeroscope_objects(backbone: ZeroScope) -> Objects:
    """ZeroScope's MODEL, CLIP and VAE, in the dtypes that ComfyUI chooses for this machine."""
    return (
        zeroscope_model(backbone),
        clip_from_text(backbone.text, "h"),
        vae_from_core(backbone.vae),
    )
