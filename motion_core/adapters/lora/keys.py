"""A LoRA's pairs of matrices as the tensors of a file, and back.

In: pairs by the full names of a network's linear layers. Out: tensors by the names that the family,
or another program, has for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from ...backbones.base import Family
from ...backbones.families import FAMILIES
from ...backbones.files.lora_names import PEFT_NAMES, LoraNames
from ...errors import FormatError
from ..base import Scope


class LoraPair(NamedTuple):
    """One layer's change, delta = up @ down, with alpha / rank already in `up`.

    down: (r, in). up: (out, r).
    """

    down: Tensor
    up: Tensor


def lora_names(scope: Scope, family: Family) -> LoraNames:
    """How adapter files name the tensors of these LoRAs."""
    return FAMILIES[family].motion_lora if scope == "temporal" else PEFT_NAMES


def to_keys(pairs: Mapping[str, LoraPair], names: LoraNames) -> dict[str, Tensor]:
    """The pairs' tensors by their names in a file."""
    return {
        names.to_file(layer) + end: matrix
        for layer, pair in pairs.items()
        for end, matrix in zip((names.down, names.up), pair, strict=True)
    }


def from_keys(tensors: Mapping[str, Tensor], names: LoraNames) -> dict[str, LoraPair]:
    """The inverse of `to_keys`; raises FormatError for a name or shape that is none of it."""
    paired = _paired(tensors, names.down, names.up)
    return {names.from_file(layer): pair for layer, pair in paired.items()}


def _paired(tensors: Mapping[str, Tensor], down: str, up: str) -> dict[str, LoraPair]:
    """Joins each tensor whose name ends in `down` with its partner, by the name without the end."""
    layers = [name.removesuffix(down) for name in tensors if name.endswith(down)]
    known = {layer + end for layer in layers for end in (down, up)}
    if odd := sorted(known ^ set(tensors)):
        raise FormatError(
            f"{len(odd)} tensors are not LoRA pairs named *{down} and *{up}, for example "
            f"{odd[0]}. The file is damaged or in another format."
        )
    pairs = {layer: LoraPair(tensors[layer + down], tensors[layer + up]) for layer in layers}
    for layer, (a, b) in pairs.items():
        if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
            raise FormatError(
                f"{layer} has matrices {tuple(a.shape)} and {tuple(b.shape)}; expected (rank, "
                "in) and (out, rank). The file is damaged or in another format."
            )
    return pairs
