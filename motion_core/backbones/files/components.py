"""Loads the VAE and the text encoder of a base, each from any of the forms that people have.

In: an opened file or a diffusers folder. Out: an AutoencoderKL, a TextEncoder, a DDIMScheduler.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from ...errors import FormatError
from ..text import TextEncoder
from .architecture import (
    Config,
    clip_config,
    diffusers_vae_config,
    open_clip_config,
    own_metadata,
    vae_config,
)
from .folders import model_path, open_folder, read_config
from .keys import clip_keys, diffusers_vae_keys, open_clip_keys, vae_keys, with_prefix
from .kinds import LDM_VAE, require_role
from .loading import Section, build_empty, fill, using_configuration
from .roles import Role
from .tensors import TensorFile, in_memory, open_tensors

LDM_CLIP = "cond_stage_model.transformer."
LDM_OPEN_CLIP = "cond_stage_model.model."

CLIP_PAD = 49407
OPEN_CLIP_PAD = 0

# Buffers that older versions stored, and projections that conditioning does not use.
_UNUSED_IN_CLIP = r"position_ids$|text_projection"
_UNUSED_IN_VAE = r"(^|\.)loss\.|model_ema"


def load_scheduler(config: Mapping[str, Any]) -> DDIMScheduler:
    """A DDIMScheduler with this noise schedule, whatever sampler the configuration was made for."""
    with using_configuration("the scheduler"):
        scheduler = DDIMScheduler.from_config(dict(config))
    assert isinstance(scheduler, DDIMScheduler)
    return scheduler


def load_vae(path: Path, dtype: torch.dtype, device: torch.device | str) -> AutoencoderKL:
    """A VAE from a diffusers folder or a file, with LDM keys (a whole checkpoint will do) or
    diffusers' names.
    """
    path = model_path(path)
    if path.is_dir():
        return vae_from_folder(path, dtype, device)
    file = open_tensors(path)
    if not any(key.startswith(LDM_VAE) for key in file.shapes):
        require_role(file, (Role.VAE,), "a VAE")
    return vae_from_file(file, dtype, device)


def vae_from_folder(folder: Path, dtype: torch.dtype, device: torch.device | str) -> AutoencoderKL:
    config, file = read_config(folder), open_folder(folder)
    vae = build_empty(lambda: _vae(config), f"the VAE in {folder}")
    section = Section(file=file, keys=diffusers_vae_keys(vae.state_dict()), part="the VAE")
    return fill(vae, [section], dtype, device)


def vae_from_file(
    file: TensorFile, dtype: torch.dtype, device: torch.device | str
) -> AutoencoderKL:
    """From LDM keys, with or without the prefix that whole checkpoints have, or from diffusers'
    names.
    """
    prefix = LDM_VAE if any(key.startswith(LDM_VAE) for key in file.shapes) else ""
    if f"{prefix}encoder.conv_in.weight" not in file.shapes:
        raise FormatError(f"{file.name} contains no VAE. Give a VAE file in addition.")
    original = f"{prefix}encoder.down.0.block.0.conv1.weight" in file.shapes
    read_from_shapes = vae_config if original else diffusers_vae_config
    config = own_metadata(file).get("vae") or read_from_shapes(file, prefix)
    vae = build_empty(lambda: _vae(config), f"the VAE in {file.name}")
    names, levels = vae.state_dict(), len(vae.config["block_out_channels"])
    plain = vae_keys(names, levels) if original else diffusers_vae_keys(names)
    keys = with_prefix(plain, prefix)
    section = Section(file=file, keys=keys, part="the VAE", prefix=prefix, ignored=_UNUSED_IN_VAE)
    return fill(vae, [section], dtype, device)


def load_text(
    path: Path, pad_token: int, dtype: torch.dtype, device: torch.device | str
) -> TextEncoder:
    """A text encoder from a transformers folder, or from a file (open_clip's or transformers')."""
    path = model_path(path)
    if path.is_dir():
        return text_from_folder(path, pad_token, dtype, device)
    file = open_tensors(path)
    if not any(key.startswith("cond_stage_model.") for key in file.shapes):
        require_role(file, (Role.TEXT_ENCODER,), "a text encoder")
    return text_from_file(file, dtype, device)


def text_from_folder(
    folder: Path, pad_token: int, dtype: torch.dtype, device: torch.device | str
) -> TextEncoder:
    """From a transformers folder. pad_token: CLIP_PAD or OPEN_CLIP_PAD, as in its training."""
    config, file = read_config(folder), open_folder(folder)
    return _filled_clip(file, "", config, pad_token, dtype, device)


def text_from_file(file: TensorFile, dtype: torch.dtype, device: torch.device | str) -> TextEncoder:
    """From LDM, transformers or open_clip keys, with or without the prefix of whole checkpoints."""
    open_clip = _prefix_of(file, "token_embedding.weight", (LDM_OPEN_CLIP, "text.", ""))
    if open_clip is not None:
        # Stable Diffusion 2 and ModelScope condition on the output of the last layer but one.
        return text_from_open_clip(file, dtype, device, prefix=open_clip, skipped_layers=1)
    own: Config = dict(own_metadata(file).get("text") or {})
    marker = "embeddings.token_embedding.weight"
    prefix = _prefix_of(file, f"text_model.{marker}", (LDM_CLIP, ""))
    found = _prefix_of(file, marker, (LDM_CLIP, "")) if prefix is None else prefix
    if found is None:
        raise FormatError(f"{file.name} contains no text encoder. Give one in addition.")
    inner = found if prefix is None else f"{found}text_model."
    pad_token = int(own.pop("pad_token", CLIP_PAD))
    return _filled_clip(file, found, own or clip_config(file, inner), pad_token, dtype, device)


def text_from_open_clip(
    tower: TensorFile | Mapping[str, Tensor],
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    *,
    prefix: str = "",
    skipped_layers: int = 0,
    heads: int | None = None,
) -> TextEncoder:
    """An open_clip text tower as a transformers one; what the tower has besides is left out.

    skipped_layers: how many last layers are dropped (the final norm stays). heads: as the tower
    has; width / 64 if not given, as in open_clip's own models.
    """
    file = tower if isinstance(tower, TensorFile) else in_memory(tower, "the text tower")
    config = open_clip_config(file, prefix, skipped_layers)
    if heads is not None:
        config["num_attention_heads"] = heads
    model = build_empty(lambda: _clip(config), f"the text encoder in {file.name}")
    keys = with_prefix(open_clip_keys(model.state_dict()), prefix)
    # visual.*, text_projection, logit_scale and skipped layers are not for conditioning.
    section = Section(file=file, keys=keys, part="the text encoder", ignored=".*")
    return _text_encoder(fill(model, [section], dtype, device), OPEN_CLIP_PAD)


def _filled_clip(
    file: TensorFile,
    prefix: str,
    config: Mapping[str, Any],
    pad_token: int,
    dtype: torch.dtype,
    device: torch.device | str,
) -> TextEncoder:
    model = build_empty(lambda: _clip(config), f"the text encoder in {file.name}")
    keys = with_prefix(clip_keys(model.state_dict()), prefix)
    section = Section(
        file=file, keys=keys, part="the text encoder", prefix=prefix, ignored=_UNUSED_IN_CLIP
    )
    return _text_encoder(fill(model, [section], dtype, device), pad_token)


def _text_encoder(model: CLIPTextModel, pad_token: int) -> TextEncoder:
    length = int(model.config.max_position_embeddings)
    tokenizer = SimpleTokenizer(context_length=length)
    return TextEncoder(model=model, tokenizer=tokenizer, pad_token=pad_token)


def _clip(config: Mapping[str, Any]) -> CLIPTextModel:
    return CLIPTextModel(CLIPTextConfig.from_dict(dict(config)))


def _vae(config: Mapping[str, Any]) -> AutoencoderKL:
    vae = AutoencoderKL.from_config(dict(config))
    assert isinstance(vae, AutoencoderKL)
    return vae


def _prefix_of(file: TensorFile, key: str, prefixes: tuple[str, ...]) -> str | None:
    return next((prefix for prefix in prefixes if prefix + key in file.shapes), None)
