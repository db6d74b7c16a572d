"""What a LoRA's tensors are called in files.

In: full names of linear layers of a diffusers UNet. Out: tensor names, and back.

A temporal LoRA of AnimateDiff has AnimateDiff's own motion-LoRA names, so that AnimateDiff-Evolved
and AnimateDiff itself load the file as it is. Their loaders (ADE d8d163c, model_injection.py,
`load_motion_lora_as_patches`) take "processor.", "_lora", "down." and "up." out of a name, put
"to_out.0." for "to_out.", and add up @ down to the motion module's weight of the name that is left;
there is no alpha. All other LoRAs have PEFT's names: "<layer>.lora_A.weight", "….lora_B.weight".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from ...backbones.base import Family
from ...errors import FormatError
from ..base import Scope


class LoraPair(NamedTuple):
    """One layer's change, delta = up @ down, with alpha / rank already in `up`.

    down: (r, in). up: (out, r).
    """

    down: Tensor
    up: Tensor


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


def has_animatediff_names(scope: Scope, family: Family) -> bool:
    """Whether these LoRAs are stored under AnimateDiff's names; all others have PEFT's."""
    return scope == "temporal" and family == "animatediff"


def to_file_keys(pairs: Mapping[str, LoraPair], scope: Scope, family: Family) -> dict[str, Tensor]:
    """The pairs' tensors by file name."""
    if has_animatediff_names(scope, family):
        return to_animatediff_keys(pairs)
    return to_peft_keys(pairs)


def from_file_keys(
    tensors: Mapping[str, Tensor], scope: Scope, family: Family
) -> dict[str, LoraPair]:
    """The inverse of `to_file_keys`; raises FormatError for a name or shape that is none of it."""
    if has_animatediff_names(scope, family):
        return from_animatediff_keys(tensors)
    return from_peft_keys(tensors)


def to_peft_keys(pairs: Mapping[str, LoraPair]) -> dict[str, Tensor]:
    """PEFT's names; lora_A is down, lora_B is up."""
    return {
        f"{layer}.{part}.weight": matrix
        for layer, pair in pairs.items()
        for part, matrix in zip(("lora_A", "lora_B"), pair, strict=True)
    }


def from_peft_keys(tensors: Mapping[str, Tensor]) -> dict[str, LoraPair]:
    """The inverse of `to_peft_keys`."""
    return _paired(tensors, ".lora_A.weight", ".lora_B.weight")


def to_animatediff_keys(pairs: Mapping[str, LoraPair]) -> dict[str, Tensor]:
    """AnimateDiff's motion-LoRA names of layers of a networkMotionModel's motion modules."""
    return {
        f"{_to_animatediff(layer)}.{part}.weight": matrix
        for layer, pair in pairs.items()
        for part, matrix in zip(("down", "up"), pair, strict=True)
    }


def from_animatediff_keys(tensors: Mapping[str, Tensor]) -> dict[str, LoraPair]:
    """The inverse of `to_animatediff_keys`, by the layers' names in a networkMotionModel."""
    paired = _paired(tensors, ".down.weight", ".up.weight")
    return {_from_animatediff(layer): pair for layer, pair in paired.items()}


def _to_animatediff(layer: str) -> str:
    if match := _DIFFUSERS_ATTENTION.fullmatch(layer):
        module, block, attention, part = match.groups()
        inner = f"attention_blocks.{int(attention) - 1}.processor.{part}"
    elif match := _DIFFUSERS_FEED_FORWARD.fullmatch(layer):
        module, block, inner = match.groups()
    else:
        raise FormatError(
            f"Layer {layer} has no name in an AnimateDiff motion LoRA, which holds attention and "
            "feed-forward layers of motion modules only. Save it as a spatial or ZeroScope LoRA."
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
        f"{layer!r} is no layer name of an AnimateDiff motion LoRA. Choose a motion LoRA file."
    )


def _paired(tensors: Mapping[str, Tensor], down: str, up: str) -> dict[str, LoraPair]:
    """Joins each tensor whose name ends in `down` with its partner, by the name without the end."""
    layers = [name.removesuffix(down) for name in tensors if name.endswith(down)]
    known = {layer + end for layer in layers for end in (down, up)}
    if odd := sorted(known ^ set(tensors)):
        raise FormatError(
            f"{len(odd)} tensors are not LoRA pairs named *{down} and *{up}, for example {odd[0]}. "
            "The file is damaged or of another format."
        )
    pairs = {layer: LoraPair(tensors[layer + down], tensors[layer + up]) for layer in layers}
    for layer, (a, b) in pairs.items():
        if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
            raise FormatError(
                f"{layer} has matrices {tuple(a.shape)} and {tuple(b.shape)}; expected (rank, in) "
                "and (out, rank). The file is damaged or of another format."
            )
    return pairs
