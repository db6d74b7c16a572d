"""Writes a tiny base as the files that people have: the way back from `load_animatediff` and
`load_zeroscope`, through the same key maps.

In: a Backbone. Out: `.safetensors` with LDM, AnimateDiff or ModelScope keys, and in the metadata
key `motion_core` what shapes do not tell (heads, groups, scaling, noise schedule,
version, licence).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from motion_core.backbones.animatediff import AnimateDiff, checkpoint_unet_keys
from motion_core.backbones.files.architecture import as_metadata, plain_config
from motion_core.backbones.files.components import LDM_CLIP
from motion_core.backbones.files.keys import clip_keys, motion_keys, vae_keys, with_prefix
from motion_core.backbones.files.kinds import LDM_UNET, LDM_VAE
from motion_core.backbones.files.loading import gather
from motion_core.backbones.files.tensors import write_tensors
from motion_core.backbones.zeroscope import ZeroScope, modelscope_keys

_CLIP_ENTRIES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
    "hidden_act",
    "layer_norm_eps",
)


def save_checkpoint(backbone: AnimateDiff, path: Path) -> None:
    """Writes UNet (without motion modules), VAE and text encoder as one LDM checkpoint."""
    tensors = {
        **gather(backbone.network, checkpoint_unet_keys(backbone.network)),
        **_encoders(backbone),
    }
    config = plain_config(backbone.network.config)
    image = {k: v for k, v in config.items() if "motion" not in k and "temporal" not in k}
    write_tensors(path, tensors, as_metadata({**_facts(backbone), "unet": image}))


def save_motion_module(backbone: AnimateDiff, path: Path) -> None:
    """Writes the motion modules as an AnimateDiff motion module."""
    tensors = gather(backbone.network, motion_keys(backbone.network.state_dict()))
    config = plain_config(backbone.network.config)
    values = {
        "version": backbone.version,
        "licence": backbone.licence,
        "motion": {key: value for key, value in config.items() if "motion" in key},
    }
    write_tensors(path, tensors, as_metadata(values))


def save_video_model(backbone: ZeroScope, path: Path) -> None:
    """Writes UNet, VAE and text encoder as one file, the UNet with ModelScope's keys."""
    keys = with_prefix(modelscope_keys(backbone.network), LDM_UNET)
    tensors = {**gather(backbone.network, keys), **_encoders(backbone)}
    config = plain_config(backbone.network.config)
    write_tensors(path, tensors, as_metadata({**_facts(backbone), "unet": config}))


def _encoders(backbone: AnimateDiff | ZeroScope) -> dict[str, Tensor]:
    vae, text = backbone.vae, backbone.text.model
    levels = len(vae.config["block_out_channels"])
    return {
        **gather(vae, with_prefix(vae_keys(vae.state_dict(), levels), LDM_VAE)),
        **gather(text, with_prefix(clip_keys(text.state_dict()), LDM_CLIP)),
    }


def _facts(backbone: AnimateDiff | ZeroScope) -> dict[str, Any]:
    text = backbone.text.model.config
    return {
        "version": backbone.version,
        "licence": backbone.licence,
        "vae": plain_config(backbone.vae.config),
        "text": {
            **{entry: getattr(text, entry) for entry in _CLIP_ENTRIES},
            "pad_token": backbone.text.pad_token,
        },
        "scheduler": plain_config(backbone.scheduler.config),
    }
