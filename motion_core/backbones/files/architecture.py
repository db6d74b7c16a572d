"""The configuration of a network, read from the shapes in its file or from our own metadata.

Shapes tell depths, widths and where attention is. They do not tell numbers of heads, normalisation
groups, scaling factors or noise schedules: for those a foreign file is taken to be what Stable
Diffusion 1.5, AnimateDiff and ModelScope are, and files that this package writes say it themselves
in the metadata key `motion_core`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ...errors import FormatError
from .tensors import TensorFile

METADATA_KEY = "motion_core"
FORMAT_VERSION = 1

Config = dict[str, Any]

# Guo et al., AnimateDiff, configs/inference: noise_scheduler_kwargs; DDIM as its pipeline sets it.
ANIMATEDIFF_SCHEDULER: Config = {
    "num_train_timesteps": 1000,
    "beta_schedule": "linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
}
# scheduler/scheduler_config.json of damo-vilab/text-to-video-ms-1.7b and cerspense/zeroscope.
ZEROSCOPE_SCHEDULER: Config = {**ANIMATEDIFF_SCHEDULER, "beta_schedule": "scaled_linear"}

SD_VAE_SCALING = 0.18215


def own_metadata(file: TensorFile) -> Mapping[str, Any]:
    """What this package wrote into the file's header; empty for foreign files.

    Raises FormatError if it is damaged or of a later format version.
    """
    text = file.metadata.get(METADATA_KEY)
    if text is None:
        return {}
    try:
        values = json.loads(text)
    except ValueError as error:
        raise FormatError(
            f"{file.name} has a damaged header ({error}). Download or save it again."
        ) from error
    tables = ("unet", "vae", "text", "motion", "scheduler")
    if not isinstance(values, dict) or not all(isinstance(values.get(t, {}), dict) for t in tables):
        raise FormatError(
            f"{file.name} has a damaged header (no table). Download or save it again."
        )
    if values.get("format_version") != FORMAT_VERSION:
        raise FormatError(
            f"{file.name} has format version {values.get('format_version')}; this package reads "
            f"version {FORMAT_VERSION}. Update the package."
        )
    return values


def as_metadata(values: Mapping[str, Any]) -> dict[str, str]:
    """The header entry that `own_metadata` reads."""
    return {METADATA_KEY: json.dumps({"format_version": FORMAT_VERSION, **values}, sort_keys=True)}


def plain_config(config: Mapping[str, Any]) -> Config:
    """A diffusers configuration without its private entries."""
    return {key: value for key, value in config.items() if not key.startswith("_")}


def image_unet_config(file: TensorFile, prefix: str) -> Config:
    """Configuration of the UNetMotionModel, without its motion modules, for an LDM image UNet."""
    return {
        **_unet_config(file, prefix, "DownBlockMotion", "UpBlockMotion"),
        "num_attention_heads": 8,
        "use_linear_projection": len(_shape(file, f"{prefix}middle_block.1.proj_in.weight")) == 2,
    }


def video_unet_config(file: TensorFile, prefix: str) -> Config:
    """Configuration of the UNet3DConditionModel for a UNet in ModelScope's format.

    `transformer_in` always has 8 heads, so its width tells the head size.
    """
    return {
        **_unet_config(file, prefix, "DownBlock3D", "UpBlock3D"),
        "attention_head_dim": _size(file, f"{prefix}input_blocks.0.1.proj_in.weight", 0) // 8,
    }


def _unet_config(file: TensorFile, prefix: str, down: str, up: str) -> Config:
    blocks = _count(file, rf"{re.escape(prefix)}input_blocks\.(\d+)\.")
    downs = _numbers(file, rf"{re.escape(prefix)}input_blocks\.(\d+)\.(?:0\.)?op\.weight")
    layers = (min(downs) if downs else blocks) - 1
    starts = range(1, blocks, layers + 1)
    attention = [f"{prefix}input_blocks.{start}.1.norm.weight" in file.shapes for start in starts]
    spatial = f"{prefix}middle_block.1.transformer_blocks.0.attn2.to_k.weight"
    return {
        "in_channels": _size(file, f"{prefix}input_blocks.0.0.weight", 1),
        "out_channels": _size(file, f"{prefix}out.2.weight", 0),
        "layers_per_block": layers,
        "block_out_channels": [
            _size(file, f"{prefix}input_blocks.{start}.0.out_layers.3.weight", 0)
            for start in starts
        ],
        "down_block_types": [("CrossAttn" if has else "") + down for has in attention],
        "up_block_types": [("CrossAttn" if has else "") + up for has in reversed(attention)],
        "cross_attention_dim": _size(file, spatial, 1),
        "norm_num_groups": 32,
    }


def motion_config(file: TensorFile) -> Config:
    """The motion entries of a UNetMotionModel's configuration, for a motion module file."""
    lengths = {_size(file, key, 1) for key in file.shapes if key.endswith(".pe")}
    if len(lengths) > 1:
        raise FormatError(
            f"{file.name} has positional encodings of different lengths {sorted(lengths)}; "
            "expected one."
        )
    return {
        "motion_num_attention_heads": 8,
        "motion_max_seq_length": lengths.pop() if lengths else 32,
        "use_motion_mid_block": any(k.startswith("mid_block.motion_modules.") for k in file.shapes),
    }


def motion_channels(file: TensorFile) -> list[int]:
    """The widths of the levels that a motion module file was made for."""
    levels = _count(file, r"down_blocks\.(\d+)\.motion_modules\.")
    part = "0.temporal_transformer." if _original_names(file) else "0."
    return [
        _size(file, f"down_blocks.{level}.motion_modules.{part}norm.weight", 0)
        for level in range(levels)
    ]


def motion_layers_per_block(file: TensorFile) -> int:
    """Motion modules in each down block; up blocks have one more."""
    return _count(file, r"down_blocks\.0\.motion_modules\.(\d+)\.")


def _original_names(file: TensorFile) -> bool:
    return any(".temporal_transformer." in key for key in file.shapes)


def vae_config(file: TensorFile, prefix: str) -> Config:
    """Configuration of the AutoencoderKL for a VAE with LDM keys."""
    levels = _count(file, rf"{re.escape(prefix)}encoder\.down\.(\d+)\.")
    layers = _count(file, rf"{re.escape(prefix)}encoder\.down\.0\.block\.(\d+)\.")
    return _vae_of(
        widths=[
            _size(file, f"{prefix}encoder.down.{level}.block.0.conv2.weight", 0)
            for level in range(levels)
        ],
        layers=layers,
        latents=_size(file, f"{prefix}decoder.conv_in.weight", 1),
        attention=f"{prefix}encoder.mid.attn_1.q.weight" in file.shapes,
    )


def diffusers_vae_config(file: TensorFile, prefix: str) -> Config:
    """Configuration of the AutoencoderKL for a VAE file with diffusers' own names."""
    levels = _count(file, rf"{re.escape(prefix)}encoder\.down_blocks\.(\d+)\.")
    layers = _count(file, rf"{re.escape(prefix)}encoder\.down_blocks\.0\.resnets\.(\d+)\.")
    middle = f"{prefix}encoder.mid_block.attentions.0.group_norm.weight"
    return _vae_of(
        widths=[
            _size(file, f"{prefix}encoder.down_blocks.{level}.resnets.0.conv2.weight", 0)
            for level in range(levels)
        ],
        layers=layers,
        latents=_size(file, f"{prefix}decoder.conv_in.weight", 1),
        attention=middle in file.shapes,
    )


def _vae_of(widths: list[int], layers: int, latents: int, attention: bool) -> Config:
    return {
        "block_out_channels": widths,
        "layers_per_block": layers,
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "latent_channels": latents,
        "mid_block_add_attention": attention,
        "norm_num_groups": 32,
        "scaling_factor": SD_VAE_SCALING,
    }


def clip_config(file: TensorFile, prefix: str) -> Config:
    """Configuration of the CLIPTextModel for a tower with transformers' keys after `prefix`."""
    embeddings = f"{prefix}embeddings."
    width = _size(file, f"{embeddings}token_embedding.weight", 1)
    layers = _count(file, rf"{re.escape(prefix)}encoder\.layers\.(\d+)\.")
    return {
        "vocab_size": _size(file, f"{embeddings}token_embedding.weight", 0),
        "hidden_size": width,
        "intermediate_size": _size(file, f"{prefix}encoder.layers.0.mlp.fc1.weight", 0),
        "num_hidden_layers": layers,
        "num_attention_heads": max(width // 64, 1),
        "max_position_embeddings": _size(file, f"{embeddings}position_embedding.weight", 0),
        # CLIP ViT-L/14 (width 768) has the quick approximation, OpenCLIP's towers the exact GELU.
        "hidden_act": "quick_gelu" if width == 768 else "gelu",
    }


def open_clip_config(file: TensorFile, prefix: str, skipped_layers: int) -> Config:
    """Configuration of the CLIPTextModel for an open_clip text tower without its last layers."""
    width = _size(file, f"{prefix}token_embedding.weight", 1)
    layers = _count(file, rf"{re.escape(prefix)}transformer\.resblocks\.(\d+)\.")
    return {
        "vocab_size": _size(file, f"{prefix}token_embedding.weight", 0),
        "hidden_size": width,
        "intermediate_size": _size(file, f"{prefix}transformer.resblocks.0.mlp.c_fc.weight", 0),
        "num_hidden_layers": layers - skipped_layers,
        "num_attention_heads": max(width // 64, 1),
        "max_position_embeddings": _size(file, f"{prefix}positional_embedding", 0),
        "hidden_act": "gelu",
    }


def _shape(file: TensorFile, key: str) -> tuple[int, ...]:
    """The shape of a tensor that the file must have; raises FormatError if it has not."""
    if key not in file.shapes:
        raise FormatError(
            f"{file.name} lacks {key}. The file is incomplete or of another kind; use a complete "
            "one."
        )
    return file.shapes[key]


def _size(file: TensorFile, key: str, axis: int) -> int:
    """One size of such a tensor; raises FormatError if it has fewer dimensions."""
    shape = _shape(file, key)
    if len(shape) <= axis or not all(shape):
        raise FormatError(
            f"{file.name}: {key} has the shape {shape}, which no such model has. The file is "
            "damaged or of another kind."
        )
    return shape[axis]


def _count(file: TensorFile, pattern: str) -> int:
    """How many numbers from 0 on the pattern's group takes in the file's keys."""
    numbers = _numbers(file, pattern)
    if not numbers:
        raise FormatError(
            f"{file.name} has no tensor like {pattern}. The file is incomplete or of another kind."
        )
    last = max(numbers)
    if last >= len(numbers):
        gap = next(number for number in range(last) if number not in numbers)
        raise FormatError(
            f"{file.name} has tensors like {pattern} for {last}, but none for {gap}. The file is "
            "incomplete or of another kind."
        )
    return len(numbers)


def _numbers(file: TensorFile, pattern: str) -> set[int]:
    """The numbers that the pattern's group takes in the file's keys."""
    found = (re.match(pattern, key) for key in file.shapes)
    return {int(match[1]) for match in found if match}
