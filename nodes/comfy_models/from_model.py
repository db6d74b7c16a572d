"""A connected MODEL, CLIP and VAE as a base of the core: any Stable Diffusion 1.5 checkpoint, its
LoRAs baked in.

In: what the core's loaders and LoraLoader give. Out: an AnimateDiff, read from them as from a
checkpoint that ComfyUI would save of them, through the core's own key maps. Each tensor is made
when it is read: its weight as it is without patches, in float32, then the patches on it. The inputs
stay as they are, loaded or not.

What a MODEL has besides weights (IPAdapter, context windows, other packs' motion modules) is none
of the checkpoint's and is left out; where that is likely not meant, a warning says so.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import comfy.clip_model
import comfy.sd
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_patcher import ModelPatcher

from ...motion_core.backbones.animatediff import AnimateDiff, load_animatediff
from ...motion_core.backbones.files.architecture import (
    Config,
    as_metadata,
    clip_config,
    image_unet_config,
    plain_config,
)
from ...motion_core.backbones.files.components import CLIP_PAD, LDM_CLIP
from ...motion_core.backbones.files.keys import vae_keys, with_prefix
from ...motion_core.backbones.files.kinds import LDM_UNET, LDM_VAE, require_role
from ...motion_core.backbones.files.loading import gather
from ...motion_core.backbones.files.roles import Role
from ...motion_core.backbones.files.tensors import TensorFile, in_memory
from ...motion_core.diffusion.encoding import encoders_digest
from ...motion_core.errors import FormatError
from .clip import plain_tokenizer
from .patched_weights import Source, patched, sources_of, unpacked
from .schedule import animatediff_schedule
from .vae import PlainVAE

logger = logging.getLogger(__name__)

_TOWER = "clip_l.transformer."
_VAE_MARKS = ("encoder.down.0.block.0.conv1.weight", "decoder.conv_in.weight")
LATENT_CHANNELS = 4


def base_from_model(
    model: ModelPatcher,
    clip: comfy.sd.CLIP,
    vae: comfy.sd.VAE,
    motion_module: Path,
    domain_adapter: Path | None = None,
    version: str | None = None,
) -> AnimateDiff:
    """AnimateDiff on the connected image model, float32 in main memory, fit for training.

    version: None for what the motion module is. To be called outside of inference mode. Raises
    FormatError, naming what is connected, for models of another kind than Stable Diffusion 1.5, and
    for files as `load_animatediff`.
    """
    checkpoint = checkpoint_of(model, clip, vae)
    backbone = load_animatediff(checkpoint, motion_module, domain_adapter, version=version)
    tokenizer = plain_tokenizer(clip, "l")
    if tokenizer is not None:
        backbone.text = dataclasses.replace(backbone.text, tokenizer=tokenizer)
    return backbone


def weights_digest(backbone: AnimateDiff) -> str:
    """12 hex digits that tell a base from another with any other weight in image UNet, VAE or text
    encoder; seconds at full size.
    """
    digest = hashlib.sha256(encoders_digest(backbone).encode())
    for name, tensor in backbone.network.state_dict().items():
        if ".motion_modules." not in name:
            digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:12]


def checkpoint_of(model: ModelPatcher, clip: comfy.sd.CLIP, vae: comfy.sd.VAE) -> TensorFile:
    """The three as one opened Stable Diffusion checkpoint; see the module's docstring.

    Raises FormatError as `base_from_model`.
    """
    unet, unet_config = _image_unet(model)
    text, text_config = _text_tower(clip)
    encoder, vae_config = _vae(vae)
    sources = {**unet, **text, **encoder}
    return TensorFile(
        name="the connected MODEL",
        shapes={key: tuple(source[0][0].shape) for key, source in sources.items()},
        read=lambda key: patched(sources[key], key),
        metadata=as_metadata(
            {
                "unet": unet_config,
                "text": text_config,
                "scheduler": animatediff_schedule(model),
                **({"vae": vae_config} if vae_config else {}),
            }
        ),
    )


def _image_unet(model: ModelPatcher) -> tuple[dict[str, Source], Config]:
    unet = model.model.diffusion_model
    if not isinstance(unet, UNetModel):
        kind = type(model.model.model_config).__name__
        raise FormatError(
            f"The connected MODEL is a {kind}; AnimateDiff needs a Stable Diffusion 1.5 MODEL. "
            "Connect one from Load Checkpoint."
        )
    _warn_of_the_rest(model)
    sources = sources_of(model, "diffusion_model.", LDM_UNET)
    file = in_memory({key: source[0][0] for key, source in sources.items()}, "The connected MODEL")
    require_role(file, (Role.IMAGE_UNET,), "Stable Diffusion 1.5's")
    norm: Any = unet.out[0]
    config = {
        **image_unet_config(file, LDM_UNET),
        "norm_num_groups": norm.num_groups,
        "num_attention_heads": _heads(model, image_unet_config(file, LDM_UNET)),
    }
    return sources, config


def _heads(model: ModelPatcher, config: Mapping[str, Any]) -> int | list[int]:
    given = model.model.model_config.unet_config
    if given["num_heads"] > 0:
        return int(given["num_heads"])
    return [width // given["num_head_channels"] for width in config["block_out_channels"]]


def _text_tower(clip: comfy.sd.CLIP) -> tuple[dict[str, Source], Config]:
    model = clip.cond_stage_model
    if getattr(model, "clip", None) != "clip_l":
        raise FormatError(
            f"The connected CLIP is {type(model).__name__}; AnimateDiff needs Stable Diffusion "
            "1.5's, which has one CLIP-L. Connect the CLIP of the same checkpoint."
        )
    tower: Any = model.clip_l.transformer
    layers = tower.text_model.encoder.layers
    kept = _kept_layers(clip.layer_idx, len(layers))
    sources = {
        key: source
        for key, source in sources_of(clip.patcher, _TOWER, LDM_CLIP).items()
        if ".text_model." in key and _layer(key) < kept
    }
    file = in_memory({key: source[0][0] for key, source in sources.items()}, "The connected CLIP")
    known = comfy.clip_model.ACTIVATIONS.items()
    config = {
        **clip_config(file, f"{LDM_CLIP}text_model."),
        "num_attention_heads": layers[0].self_attn.heads,
        "hidden_act": next(name for name, act in known if act is layers[0].mlp.activation),
        "pad_token": model.clip_l.special_tokens.get("pad", CLIP_PAD),
    }
    return sources, config


def _kept_layers(layer_idx: int | None, layers: int) -> int:
    """How many layers "CLIP Set Last Layer" leaves: -1 all, -2 all but one."""
    if layer_idx is None or abs(layer_idx) > layers:
        return layers
    return layer_idx + 1 if layer_idx >= 0 else layers + layer_idx + 1


def _layer(key: str) -> int:
    """The number of the layer that a tensor belongs to; -1 for those outside."""
    _, inside, rest = key.partition(".encoder.layers.")
    return int(rest.split(".")[0]) if inside else -1


def _vae(vae: comfy.sd.VAE) -> tuple[dict[str, Source], Config | None]:
    """The VAE's sources, and its configuration where shapes do not tell it."""
    network = vae.first_stage_model
    if isinstance(network, PlainVAE):
        levels = len(network.vae.config["block_out_channels"])
        keys = with_prefix(vae_keys(network.vae.state_dict(), levels), LDM_VAE)
        tensors = gather(network.vae, keys)
        as_it_is: dict[str, Source] = {key: [(tensor, unpacked)] for key, tensor in tensors.items()}
        return as_it_is, plain_config(network.vae.config)
    sources = {} if network is None else sources_of(vae.patcher, "", LDM_VAE)
    first, last = (sources.get(f"{LDM_VAE}{mark}") for mark in _VAE_MARKS)
    if first is None or last is None or last[0][0].shape[1] != LATENT_CHANNELS:
        kind = "empty" if network is None else f"a {type(network).__name__} of another kind"
        raise FormatError(
            f"The connected VAE is {kind}; AnimateDiff needs Stable Diffusion 1.5's, with 4 latent "
            "channels. Connect the VAE of the checkpoint, or one from Load VAE."
        )
    return sources, None


def _warn_of_the_rest(model: ModelPatcher) -> None:
    names = sorted({*model.injections, *model.additional_models})
    if names:
        logger.warning(
            "The base is made from the MODEL's weights and LoRAs; %s cannot become part of it.",
            ", ".join(names),
        )
