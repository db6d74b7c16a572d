"""The networks that LoRAs are for, recognised by the names of their layers.

In: layers' names as `lora_keys` gives them. Out: a `Network`. AnimateDiff's, Stable Diffusion's and
ModelScope's layers have names of their own; Flux and HunyuanVideo share theirs, and are told apart
by how many blocks there are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from enum import Enum

from .lora_keys import lora_key

SD2_PROMPT_WIDTH, SDXL_PROMPT_WIDTH = 1024, 2048
# Numbers of blocks that Flux does not have and HunyuanVideo does: 20 and 40 against 19 and 38.
_FLUX_DOUBLE, _FLUX_SINGLE = 19, 38


class Network(Enum):
    """What a LoRA is for. The value is its name for people."""

    MOTION_MODULE = "AnimateDiff's motion module"
    VIDEO_UNET = "ZeroScope or ModelScope"
    IMAGE_UNET = "Stable Diffusion 1.5"
    SD2_UNET = "Stable Diffusion 2"
    SDXL_UNET = "Stable Diffusion XL"
    WAN = "Wan"
    LTX = "LTX-Video"
    HUNYUAN = "HunyuanVideo"
    FLUX = "Flux"
    FLUX_OR_HUNYUAN = "Flux or HunyuanVideo"
    TEXT_ENCODER = "a CLIP text encoder"
    UNKNOWN = "a network unknown to this package"


_UNET_BLOCK = r"(?:(?:down|up)_blocks\.\d+|mid_block)\."
_TRANSFORMER_PART = r"(?:attn[12]\.(?:to_[qkv]|to_out\.0)|ff\.net\.(?:0\.proj|2))"
_PATTERNS: Sequence[tuple[Network, re.Pattern[str]]] = (
    (
        Network.MOTION_MODULE,
        re.compile(
            rf"{_UNET_BLOCK}motion_modules\.\d+\.transformer_blocks\.\d+\.{_TRANSFORMER_PART}"
        ),
    ),
    (
        Network.VIDEO_UNET,
        re.compile(
            rf"(?:transformer_in|{_UNET_BLOCK}temp_attentions\.\d+)\."
            rf"(?:proj_in|proj_out|transformer_blocks\.\d+\.{_TRANSFORMER_PART})"
            rf"|{_UNET_BLOCK}temp_convs\.\d+\.conv\d\.\d+"
        ),
    ),
    (
        Network.IMAGE_UNET,
        re.compile(
            rf"{_UNET_BLOCK}attentions\.\d+\."
            rf"(?:proj_in|proj_out|transformer_blocks\.\d+\.{_TRANSFORMER_PART})"
            rf"|{_UNET_BLOCK}resnets\.\d+\.(?:conv1|conv2|conv_shortcut|time_emb_proj)"
            rf"|{_UNET_BLOCK}(?:down|up)samplers\.0\.conv|conv_in|conv_out"
            r"|time_embedding\.linear_[12]|(?:input_blocks|output_blocks|middle_block)\..+"
        ),
    ),
    (
        Network.WAN,
        re.compile(
            r"blocks\.\d+\.(?:(?:self|cross)_attn\.(?:q|k|v|o|k_img|v_img)|ffn\.[02])"
            r"|head\.head|(?:text|time)_embedding\.[02]|time_projection\.1|patch_embedding"
            r"|img_emb\.proj\.[13]|blocks\.\d+\.(?:self|cross)_attn\.norm_\w+"
        ),
    ),
    (
        Network.LTX,
        re.compile(
            r"transformer_blocks\.\d+\.(?:(?:audio_|video_)?(?:attn[12]|to_\w+_attn|ff)\.\S+)"
            r"|(?:audio_)?(?:patchify_proj|adaln_single|caption_projection)\S*"
        ),
    ),
    (
        Network.FLUX_OR_HUNYUAN,
        re.compile(r"(?:double_blocks|single_blocks|single_transformer_blocks)\.\d+\.\S+"),
    ),
    (
        Network.FLUX_OR_HUNYUAN,
        re.compile(r"transformer_blocks\.\d+\.(?:attn|ff_context|norm1)\.\S+"),
    ),
)
LINEAR_IN_TRANSFORMER = re.compile(
    rf"{_UNET_BLOCK}attentions\.\d+\.transformer_blocks\.\d+\.{_TRANSFORMER_PART}"
)


def network_of_layer(layer: str) -> Network:
    """The network that has a layer of this name."""
    found = (network for network, pattern in _PATTERNS if pattern.fullmatch(layer))
    return next(found, Network.UNKNOWN)


def network_of_tensor(name: str) -> Network:
    """Of a tensor that belongs to no complete layer: by what its name has in it."""
    key = lora_key(name)
    if "motion_modules" in name:
        return Network.MOTION_MODULE
    if "temp_attentions" in name or "temp_convs" in name or "transformer_in" in name:
        return Network.VIDEO_UNET
    if key is None:
        return Network.UNKNOWN
    return Network.TEXT_ENCODER if key.text else network_of_layer(key.layer)


def joint_network(names: Collection[str]) -> Network:
    """Flux, HunyuanVideo, or either, by the names of its layers."""
    if any(re.search(r"_attn_qkv|_attn_proj|fc[12]|_mod\.linear", name) for name in names):
        return Network.HUNYUAN
    double = _highest(names, r"(?:double|^transformer)_blocks\.(\d+)")
    single = _highest(names, r"single_(?:transformer_)?blocks\.(\d+)")
    if double >= _FLUX_DOUBLE or single >= _FLUX_SINGLE:
        return Network.HUNYUAN
    whole = double == _FLUX_DOUBLE - 1 and single in (-1, _FLUX_SINGLE - 1)
    return Network.FLUX if whole else Network.FLUX_OR_HUNYUAN


def _highest(names: Iterable[str], pattern: str) -> int:
    found = (re.search(pattern, name) for name in names)
    return max((int(match[1]) for match in found if match), default=-1)
