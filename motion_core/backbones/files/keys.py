"""Key maps between diffusers' module names and the names in files that people have.

In: names of a diffusers model (its `state_dict` keys). Out: for each the place in a file. A map is
built from the model at hand, so it holds for any depth and width, and reads in both directions:
with it a file is loaded, and a model is written as such a file.

- LDM: Stable Diffusion's own checkpoints (UNet, VAE, CLIP text tower). CompVis/stable-diffusion.
- ModelScope: the same with temporal layers, `temopral_conv` spelt so.
- AnimateDiff: the motion modules of guoyww/AnimateDiff.
- open_clip: text towers with q, k and v in one matrix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Place(NamedTuple):
    """Where a tensor lies in a file. third: which third of its rows (q, k and v in one matrix)."""

    key: str
    third: int | None = None


KeyMap = Mapping[str, tuple[Place, ...]]
"""Model name → places in the file. The first place that exists is read, the others are known to
hold the same (or an older spelling), and the first is the one that is written."""

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "transformer_in": "input_blocks.0.1",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_VAE_RENAMES = (
    (r"^(encoder|decoder)\.conv_norm_out", r"\1.norm_out"),
    (r"^encoder\.down_blocks\.(\d+)\.resnets\.(\d+)", r"encoder.down.\1.block.\2"),
    (r"^encoder\.down_blocks\.(\d+)\.downsamplers\.0", r"encoder.down.\1.downsample"),
    (r"\.mid_block\.resnets\.0", ".mid.block_1"),
    (r"\.mid_block\.resnets\.1", ".mid.block_2"),
    (r"\.mid_block\.attentions\.0\.group_norm", ".mid.attn_1.norm"),
    (r"\.mid_block\.attentions\.0\.to_([qkv])", r".mid.attn_1.\1"),
    (r"\.mid_block\.attentions\.0\.to_out\.0", ".mid.attn_1.proj_out"),
    (r"\.conv_shortcut\.", ".nin_shortcut."),
)
_OLD_VAE_ATTENTION = {
    "to_q": "query",
    "to_k": "key",
    "to_v": "value",
    "to_out.0": "proj_attn",
}
_MOTION_RENAMES = (
    (r"\.motion_modules\.(\d+)\.", r".motion_modules.\1.temporal_transformer."),
    (r"\.norm1\.", ".norms.0."),
    (r"\.norm2\.", ".norms.1."),
    (r"\.norm3\.", ".ff_norm."),
    (r"\.attn1\.", ".attention_blocks.0."),
    (r"\.attn2\.", ".attention_blocks.1."),
)
_OPEN_CLIP_RENAMES = (
    (r"^encoder\.layers\.(\d+)\.", r"transformer.resblocks.\1."),
    (r"\.layer_norm(\d)\.", r".ln_\1."),
    (r"\.self_attn\.out_proj\.", ".attn.out_proj."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    (r"^final_layer_norm\.", "ln_final."),
    (r"^embeddings\.token_embedding\.", "token_embedding."),
    (r"^embeddings\.position_embedding\.weight$", "positional_embedding"),
)


# Matrices that LDM and ModelScope files keep as convolutions of width 1, and the dimensions added.
_CONVOLUTIONS = (
    (r"mid_block\.attentions\.0\.to_(q|k|v|out\.0)\.weight$", 2),
    (r"(transformer_in|temp_attentions\.\d+)\.proj_(in|out)\.weight$", 1),
)


def convolution_dimensions(name: str) -> int:
    """How many dimensions of size 1 a file adds to the matrix with this diffusers name: 0, 1, 2."""
    return next((count for pattern, count in _CONVOLUTIONS if re.search(pattern, name)), 0)


def same_keys(names: Iterable[str]) -> KeyMap:
    """A file with diffusers' own names."""
    return {name: (Place(name),) for name in names}


def unet_keys(
    names: Iterable[str], layers_per_block: int, up_attention: Sequence[bool], temporal: bool
) -> KeyMap:
    """LDM keys, without prefix, of a UNet2DConditionModel or (temporal) a UNet3DConditionModel.

    up_attention: for each up block whether it has attention; an upsampler comes after it.
    """
    result: dict[str, tuple[Place, ...]] = {}
    for name in names:
        key = _unet_key(name, layers_per_block, up_attention, temporal)
        # ModelScope's downsamplers are modules of their own, without the ".0".
        places = (key, key.replace(".0.op.", ".op.")) if ".0.op." in key else (key,)
        result[name] = tuple(map(Place, reversed(places) if temporal else places))
    return result


def _unet_key(name: str, layers: int, up_attention: Sequence[bool], temporal: bool) -> str:
    for own, theirs in _UNET_ENDS.items():
        if name.startswith(f"{own}."):
            return theirs + name.removeprefix(own)
    if name.startswith("mid_block."):
        _, kind, index, rest = name.split(".", 3)
        last = 3 if temporal else 2
        spot = {"attentions": 1, "temp_attentions": 2}.get(kind, 0 if index == "0" else last)
        return f"middle_block.{_in_layer(str(spot), kind, rest)}"
    side, block, kind, index, rest = name.split(".", 4)
    first = int(block) * (layers + 1)
    if kind == "downsamplers":
        return f"input_blocks.{first + layers + 1}.0.{rest.replace('conv.', 'op.', 1)}"
    if kind == "upsamplers":
        spot = 1 + up_attention[int(block)] * (2 if temporal else 1)
        return f"output_blocks.{first + layers}.{spot}.{rest}"
    spot = {"attentions": 1, "temp_attentions": 2}.get(kind, 0)
    stem, start = ("input_blocks", first + 1) if side == "down_blocks" else ("output_blocks", first)
    return f"{stem}.{start + int(index)}.{_in_layer(str(spot), kind, rest)}"


def _in_layer(spot: str, kind: str, rest: str) -> str:
    if kind == "temp_convs":
        return f"{spot}.temopral_conv.{rest}"
    if kind == "resnets":
        part, leaf = rest.rsplit(".", 1)
        return f"{spot}.{_RESNET[part]}.{leaf}"
    return f"{spot}.{rest}"


def vae_keys(names: Iterable[str], levels: int) -> KeyMap:
    """LDM keys, without prefix, of an AutoencoderKL with or without attention in the middle."""

    def up(match: re.Match[str]) -> str:
        kind = {"resnets": "block", "upsamplers": "upsample"}[match[2]]
        index = f".{match[3]}" if kind == "block" else ""
        return f"decoder.up.{levels - 1 - int(match[1])}.{kind}{index}"

    renamed = (
        (name, re.sub(r"^decoder\.up_blocks\.(\d+)\.(\w+)\.(\d+)", up, name)) for name in names
    )
    return {name: (Place(_rename(key, _VAE_RENAMES)),) for name, key in renamed}


def diffusers_vae_keys(names: Iterable[str]) -> KeyMap:
    """A VAE file with diffusers' names, whose attention is spelt as today or as before 2023."""
    result: dict[str, tuple[Place, ...]] = {}
    for name in names:
        old = name
        if ".attentions." in name:
            for new_part, old_part in _OLD_VAE_ATTENTION.items():
                old = old.replace(f".{new_part}.", f".{old_part}.")
        result[name] = (Place(name), Place(old)) if old != name else (Place(name),)
    return result


def clip_keys(names: Iterable[str]) -> KeyMap:
    """transformers' CLIP text keys on disk, with "text_model." or (some tools) without it.

    In memory the prefix depends on the version of transformers; on disk it belongs there.
    """
    plain = {name: name.removeprefix("text_model.") for name in names}
    return {name: (Place(f"text_model.{key}"), Place(key)) for name, key in plain.items()}


def motion_keys(names: Iterable[str]) -> KeyMap:
    """AnimateDiff's keys of the motion modules in a UNetMotionModel (names without them are left
    out). One positional encoding here is two equal ones there, one for each attention."""
    result: dict[str, tuple[Place, ...]] = {}
    for name in names:
        if ".motion_modules." not in name:
            continue
        stem, encoding, leaf = name.partition(".pos_embed.")
        if encoding:
            stem = _rename(f"{stem}.", _MOTION_RENAMES)
            result[name] = tuple(
                Place(f"{stem}attention_blocks.{index}.pos_encoder.{leaf}") for index in (0, 1)
            )
        else:
            result[name] = (Place(_rename(name, _MOTION_RENAMES)),)
    return result


def open_clip_keys(names: Iterable[str]) -> KeyMap:
    """open_clip's keys, without prefix, of a CLIPTextModel."""
    result: dict[str, tuple[Place, ...]] = {}
    for name in names:
        plain = name.removeprefix("text_model.")
        fused = re.fullmatch(r"encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(\w+)", plain)
        if fused:
            layer, part, leaf = fused.groups()
            key = f"transformer.resblocks.{layer}.attn.in_proj_{leaf}"
            result[name] = (Place(key, "qkv".index(part)),)
        else:
            result[name] = (Place(_rename(plain, _OPEN_CLIP_RENAMES)),)
    return result


def with_prefix(keys: KeyMap, prefix: str) -> KeyMap:
    """The same map for a file in which every key starts with `prefix`."""
    return {
        name: tuple(place._replace(key=prefix + place.key) for place in places)
        for name, places in keys.items()
    }


def _rename(name: str, renames: Iterable[tuple[str, str]]) -> str:
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name
