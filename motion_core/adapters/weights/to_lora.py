"""A full delta as a LoRA: the best approximation of each layer's ΔW of rank r, and how good it is.

In: a `WeightsAdapter`. Out: a `LoraAdapter`, the share of energy that it keeps, and what it leaves
out. With ΔW = U·diag(s)·Vᵀ, the closest matrix of rank r (Eckart and Young 1936) keeps the r
largest singular values, and of the energy ‖ΔW‖² = Σ sᵢ² the part Σ_{i≤r} sᵢ².
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import AdapterError, FormatError
from ...settings import require
from ..lora.adapter import LoraAdapter
from ..lora.keys import LoraPair, lora_names, to_keys
from .adapter import WeightsAdapter


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """energy_kept: of the whole adapter, 0 to 1, whatever is left out counted as lost.
    energy_by_layer: of each layer's own. left_out: parameters that a LoRA of this scope and family
    cannot hold: biases, norms, convolutions and, in AnimateDiff's format, projections.
    """

    lora: LoraAdapter
    energy_kept: float
    energy_by_layer: Mapping[str, float]
    left_out: tuple[str, ...]


def weights_to_lora(adapter: WeightsAdapter, rank: int) -> Conversion:
    """The LoRA of rank `rank` nearest to the adapter, layer by layer.

    Layers narrower than the rank are exact; theirs are filled up with zeros, since programs expect
    one rank. A layer that was not trained at all counts as kept. Raises SettingsError for a rank
    below 1, AdapterError if a LoRA can hold no layer of the adapter.
    """
    require(rank >= 1, "rank", rank, "at least 1")
    pairs: dict[str, LoraPair] = {}
    energy_by_layer: dict[str, float] = {}
    kept = 0.0
    held = [name for name in adapter.deltas if _holds(name, adapter)]
    if not held:
        raise AdapterError(
            "None of the adapter's parameters can be expressed as a LoRA. Keep it as full weights."
        )
    for name in held:
        layer, delta = name.removesuffix(".weight"), adapter.deltas[name]
        pairs[layer], energy = _nearest(delta, rank)
        total = _energy(delta)
        energy_by_layer[layer] = energy / total if total else 1.0
        kept += energy
    whole = sum(_energy(delta) for delta in adapter.deltas.values())
    return Conversion(
        lora=LoraAdapter(scope=adapter.scope, family=adapter.family, pairs=pairs),
        energy_kept=kept / whole if whole else 1.0,
        energy_by_layer=energy_by_layer,
        left_out=tuple(name for name in adapter.deltas if name not in held),
    )


def _holds(name: str, adapter: WeightsAdapter) -> bool:
    """Whether it is a matrix, and its layer has a name in the LoRA's file format."""
    delta = adapter.deltas[name]
    if delta.ndim != 2 or not name.endswith(".weight"):
        return False
    pairs = {name.removesuffix(".weight"): LoraPair(delta[:1], delta[:, :1])}
    try:
        to_keys(pairs, lora_names(adapter.scope, adapter.family))
    except FormatError:
        return False
    return True


def _nearest(delta: Tensor, rank: int) -> tuple[LoraPair, float]:
    """down (r, in) and up (out, r), each with the root of the singular values, and their energy."""
    u, s, vh = torch.linalg.svd(delta.double(), full_matrices=False)
    s = s[:rank]
    roots, missing = s.sqrt(), rank - len(s)
    down = F.pad(roots[:, None] * vh[:rank], (0, 0, 0, missing))
    up = F.pad(u[:, :rank] * roots, (0, missing))
    return LoraPair(down.float(), up.float()), float(s.square().sum())


def _energy(delta: Tensor) -> float:
    return float(delta.double().square().sum())
