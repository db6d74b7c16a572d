"""Motions that play together as one: what a file holds that plays at strength 1 as they do at
theirs.

In: motions, each with what its file says, its adapters and its strength. Out: the info and the
adapters of one file. With W = W0 + Σ sᵢ·ΔWᵢ, LoRAs become one by laying their ranks side by side,
Σ sᵢ·upᵢ·downᵢ = [s₁·up₁ s₂·up₂ …] · [down₁; down₂; …], and whole weights by adding them up; a LoRA
beside whole weights becomes whole weights. Embeddings of one size and debias add up too. What does
not add up (embeddings of other sizes, MoTrans's verbs) stands in the file beside the rest, with the
strength in its weights. All of it is exact but for rounding.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import __version__
from ..adapters.base import Adapter, names_of_scopes
from ..adapters.embedding.adapter import BlockEmbedding, EmbeddingAdapter
from ..adapters.injector import InjectorAdapter
from ..adapters.lora.adapter import LoraAdapter
from ..adapters.lora.keys import LoraPair
from ..adapters.verb.adapter import VerbAdapter
from ..adapters.weights.adapter import WeightsAdapter
from ..errors import AdapterError
from ..settings import to_mapping
from .own import AdapterInfo
from .summary import adapter_parametrisation, adapter_rank, adapter_sites

METHOD = "blend"

# What the file keeps of each part's own record.
_RECORDED = ("method", "settings", "version", "prompts", "steps", "reference_hash", "licence")

Scaled = tuple[Adapter, float]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One motion of a blend. name: for messages and for the record in the file. adapters: all that
    its file holds, by name. strength: at which those of them play that its file says.
    """

    name: str
    info: AdapterInfo
    adapters: Mapping[str, Adapter]
    strength: float


def merged(parts: Sequence[Part]) -> tuple[AdapterInfo, dict[str, Adapter]]:
    """What plays of the parts, as one file's; what does not play is left out.

    Raises AdapterError if nothing plays, the parts are of different families, or a layer has
    another size in each.
    """
    playing = [part for part in parts if part.strength != 0.0]
    if not playing:
        names = ", ".join(part.name for part in parts) or "no motion is given"
        raise AdapterError(
            f"There is nothing to merge: every strength is 0 ({names}). Give one motion another "
            "strength."
        )
    _check_families(playing)
    adapters = _joined([scaled for part in playing for scaled in _shown(part)])
    return _info(playing, adapters), adapters


def _shown(part: Part) -> list[Scaled]:
    names = part.info.shown or names_of_scopes(part.adapters)
    return [(part.adapters[name], part.strength) for name in names]


def _check_families(parts: Sequence[Part]) -> None:
    families = {part.info.family: part.name for part in parts}
    if len(families) > 1:
        named = ", ".join(f"{name} is of {family}" for family, name in families.items())
        raise AdapterError(f"These motions cannot be merged: {named}. Merge motions of one family.")


def _joined(scaled: Sequence[Scaled]) -> dict[str, Adapter]:
    """By name: "temporal" and "spatial" as in every file, else the kind; numbered from the second
    of a name on.
    """
    found: dict[str, Adapter] = {}
    for scope in ("temporal", "spatial"):
        own = [(adapter, strength) for adapter, strength in scaled if adapter.scope == scope]
        if (layers := _layers_joined(own)) is not None:
            found[scope] = layers
        for adapter in _embeddings_joined(own):
            found[_free_name(found, scope, adapter.kind)] = adapter
        for adapter, strength in own:
            if isinstance(adapter, VerbAdapter | InjectorAdapter):
                found[_free_name(found, adapter.kind)] = _scaled(adapter, strength)
    return found


def _free_name(taken: Mapping[str, Adapter], *wanted: str) -> str:
    """The first of `wanted` that is free, else the last one with a number."""
    numbered = (f"{wanted[-1]}.{number}" for number in range(1, len(taken) + 1))
    return next(name for name in (*wanted, *numbered) if name not in taken)


def _layers_joined(scaled: Sequence[Scaled]) -> Adapter | None:
    """LoRAs and whole weights of one scope as one adapter; None without any."""
    loras = [(a, s) for a, s in scaled if isinstance(a, LoraAdapter)]
    weights = [(a, s) for a, s in scaled if isinstance(a, WeightsAdapter)]
    if not weights:
        return merged_loras(loras) if loras else None
    changes = [_delta_tensors(a, s) for a, s in weights] + [_lora_tensors(a, s) for a, s in loras]
    return dataclasses.replace(weights[0][0], deltas=_summed(changes))


def merged_loras(loras: Sequence[tuple[LoraAdapter, float]]) -> LoraAdapter:
    """One LoRA that does what these do together, its rank the sum of theirs.

    A layer that not all of them have is filled up with zeros, since programs expect one rank.
    Raises AdapterError for a layer of another size in each.
    """
    rank = sum(max(pair.down.shape[0] for pair in lora.pairs.values()) for lora, _ in loras)
    pairs = {
        layer: _side_by_side(
            layer, [(lora.pairs[layer], s) for lora, s in loras if layer in lora.pairs], rank
        )
        for layer in _names(lora.pairs for lora, _ in loras)
    }
    return dataclasses.replace(loras[0][0], pairs=pairs)


def _side_by_side(layer: str, pairs: Sequence[tuple[LoraPair, float]], rank: int) -> LoraPair:
    _check_alike(layer, [(pair.up.shape[0], pair.down.shape[1]) for pair, _ in pairs])
    down = torch.cat([pair.down for pair, _ in pairs])
    up = torch.cat([strength * pair.up for pair, strength in pairs], dim=1)
    missing = rank - down.shape[0]
    return LoraPair(F.pad(down, (0, 0, 0, missing)), F.pad(up, (0, missing)))


def _delta_tensors(adapter: WeightsAdapter, strength: float) -> dict[str, Tensor]:
    return {name: strength * delta for name, delta in adapter.deltas.items()}


def _lora_tensors(adapter: LoraAdapter, strength: float) -> dict[str, Tensor]:
    return {
        f"{layer}.weight": strength * (pair.up @ pair.down) for layer, pair in adapter.pairs.items()
    }


def _embeddings_joined(scaled: Sequence[Scaled]) -> list[EmbeddingAdapter]:
    """Embeddings that are debiased alike and have their blocks in the same sizes as one."""
    found: list[EmbeddingAdapter] = []
    for adapter, strength in scaled:
        if not isinstance(adapter, EmbeddingAdapter):
            continue
        own = _times(adapter, strength)
        place = next((n for n, other in enumerate(found) if _adds_up(other, own)), None)
        if place is None:
            found.append(own)
        else:
            found[place] = _added(found[place], own)
    return found


def _times(adapter: EmbeddingAdapter, strength: float) -> EmbeddingAdapter:
    blocks = {
        name: BlockEmbedding(*(strength * values for values in block))
        for name, block in adapter.blocks.items()
    }
    return dataclasses.replace(adapter, blocks=blocks)


def _adds_up(first: EmbeddingAdapter, second: EmbeddingAdapter) -> bool:
    """Whether their sum plays as both do: interpolation and debias are linear, of equal sizes."""
    shared = [name for name in first.blocks if name in second.blocks]
    return first.debias == second.debias and all(
        a.shape == b.shape
        for name in shared
        for a, b in zip(first.blocks[name], second.blocks[name], strict=True)
    )


def _added(first: EmbeddingAdapter, second: EmbeddingAdapter) -> EmbeddingAdapter:
    blocks = dict(first.blocks)
    for name, block in second.blocks.items():
        own = blocks.get(name)
        blocks[name] = (
            block
            if own is None
            else BlockEmbedding(*(a + b for a, b in zip(own, block, strict=True)))
        )
    return dataclasses.replace(first, blocks=blocks)


def _scaled(adapter: VerbAdapter | InjectorAdapter, strength: float) -> Adapter:
    """At a strength; both are linear in these matrices."""
    if isinstance(adapter, VerbAdapter):
        return dataclasses.replace(
            adapter, w2=strength * adapter.w2, residual=strength * adapter.residual
        )
    weights = {name: strength * weight for name, weight in adapter.weights.items()}
    return dataclasses.replace(adapter, weights=weights)


def _summed(changes: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    total: dict[str, Tensor] = {}
    for change in changes:
        for name, tensor in change.items():
            if name in total:
                _check_alike(name, [tuple(total[name].shape), tuple(tensor.shape)])
                tensor = total[name] + tensor
            total[name] = tensor
    return total


def _check_alike(name: str, shapes: Sequence[tuple[int, ...]]) -> None:
    if len(set(shapes)) > 1:
        sizes = " and ".join("x".join(map(str, shape)) for shape in dict.fromkeys(shapes))
        raise AdapterError(
            f"{name} is {sizes} in the motions to merge: they are of different bases. Merge "
            "motions that were trained on the same base."
        )


def _names(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    """All keys, in order, each once."""
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _info(parts: Sequence[Part], adapters: Mapping[str, Adapter]) -> AdapterInfo:
    """Size and rate are those of the first part that is none of another program's."""
    infos = [part.info for part in parts]
    own = next((info for info in infos if not info.is_foreign), infos[0])
    hashes = [info.reference_hash for info in infos if info.reference_hash]
    return dataclasses.replace(
        own,
        method=METHOD,
        settings=_settings(parts),
        parametrisation=adapter_parametrisation(adapters),
        version=_all_of(infos, lambda info: info.version),
        rank=adapter_rank(adapters),
        sites=adapter_sites(adapters),
        prompts=tuple(dict.fromkeys(prompt for info in infos for prompt in info.prompts)),
        steps=sum(info.steps for info in infos),
        reference_hash=hashlib.sha256(" ".join(hashes).encode()).hexdigest() if hashes else "",
        licence=_all_of(infos, lambda info: info.licence),
        package_version=__version__,
        shown=tuple(adapters),
    )


def _settings(parts: Sequence[Part]) -> dict[str, object]:
    """The parts in a line for people, and what each one's file says, for the record."""
    line = " + ".join(f"{part.name} at {part.strength:g}" for part in parts)
    said = [
        {"name": part.name, "strength": part.strength}
        | {field: to_mapping(part.info)[field] for field in _RECORDED}
        for part in parts
    ]
    return {"objective": {"of": line}, "parts": said}


def _all_of(infos: Sequence[AdapterInfo], text: Callable[[AdapterInfo], str]) -> str:
    """Each different text once."""
    return " and ".join(dict.fromkeys(text(info) for info in infos if text(info)))
