"""What a LoRA's tensors are called in files.

In: full names of linear layers of a network. Out: names in files, and back.

A temporal LoRA of AnimateDiff has AnimateDiff's own motion-LoRA names, so that AnimateDiff-Evolved
and AnimateDiff itself load the file as it is. Their loaders (ADE d8d163c, model_injection.py,
`load_motion_lora_as_patches`) take "processor.", "_lora", "down." and "up." out of a name, put
"to_out.0." for "to_out.", and add up @ down to the motion module's weight of the name that is left;
there is no alpha. All other LoRAs have PEFT's names: "<layer>.lora_A.weight", "….lora_B.weight".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from ...errors import FormatError


class LoraNames(NamedTuple):
    """to_file, from_file: a layer's name, one the inverse of the other; they raise FormatError for
    a layer that such files do not have. down, up: what the names of its two tensors end in.
    """

    to_file: Callable[[str], str]
    from_file: Callable[[str], str]
    down: str
    up: str


_DIFFUSERS_ATTENTION = re.compile(
    r"(.+\.motion_modules\.\d+)\.(transformer_blocks\.\d+)\.attn([12])\.(to_[qkv]|to_out)(?:\.0)?"
)
_DIFFUSERS_FEED_FORWARD = re.compile(
    r"(.+\.motion_modules\.\d+)\.(transformer_blocks\.\d+)\.(ff\..+)"
)
_ANIMATEDIFF_ATTENTION = re.compile(
    r"(.+\.motion_modules\.\d+)\.temporal_transformer\.(transformer_blocks\.\d+)"
    r"\.attention_blocks\.([01])\.processor\.(to_[qkv]|to_out)_lora"
)
_ANIMATEDIFF_FEED_FORWARD = re.compile(
    r"(.+\.motion_modules\.\d+)\.temporal_transformer\.(transformer_blocks\.\d+)\.(ff\..+)_lora"
)


def _to_animatediff(layer: str) -> str:
    if match := _DIFFUSERS_ATTENTION.fullmatch(layer):
        module, block, attention, part = match.groups()
        inner = f"attention_blocks.{int(attention) - 1}.processor.{part}"
    elif match := _DIFFUSERS_FEED_FORWARD.fullmatch(layer):
        module, block, inner = match.groups()
    else:
        raise FormatError(
            f"Layer {layer} has no name in an AnimateDiff motion LoRA, which only contains "
            "attention and feed-forward layers of motion modules. Save it as a spatial or "
            "ZeroScope LoRA."
        )
    return f"{module}.temporal_transformer.{block}.{inner}_lora"


def _from_animatediff(layer: str) -> str:
    if match := _ANIMATEDIFF_ATTENTION.fullmatch(layer):
        module, block, attention, part = match.groups()
        suffix = ".0" if part == "to_out" else ""
        return f"{module}.{block}.attn{int(attention) + 1}.{part}{suffix}"
    if match := _ANIMATEDIFF_FEED_FORWARD.fullmatch(layer):
        return ".".join(match.groups())
    raise FormatError(
        f"{layer!r} is not a layer name of an AnimateDiff motion LoRA. Choose a motion LoRA file."
    )


PEFT_NAMES = LoraNames(str, str, ".lora_A.weight", ".lora_B.weight")
ANIMATEDIFF_NAMES = LoraNames(_to_animatediff, _from_animatediff, ".down.weight", ".up.weight")
