"""What an adapter file says about the adapters in it: rank, sites and parametrisation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..adapters.base import Adapter
from ..adapters.embedding.adapter import EmbeddingAdapter
from ..adapters.lora.adapter import LoraAdapter
from ..adapters.weights.adapter import WeightsAdapter


def adapter_rank(adapters: Mapping[str, Adapter]) -> int | None:
    """The largest rank of the LoRAs; None without one."""
    loras = [adapter for adapter in adapters.values() if isinstance(adapter, LoraAdapter)]
    pairs = [pair for lora in loras for pair in lora.pairs.values()]
    return max((pair.down.shape[0] for pair in pairs), default=None)


def adapter_sites(adapters: Mapping[str, Adapter]) -> tuple[str, ...]:
    """ "temporal.attn1" and the like: the scope, and the part of a transformer block, else the
    layer's name; "temporal.temp_convs" is all of the temporal convolutions.
    """
    sites = {
        f"{adapter.scope}.{_part(layer)}"
        for adapter in adapters.values()
        for layer in _layers(adapter)
    }
    return tuple(sorted(sites))


def adapter_parametrisation(adapters: Mapping[str, Adapter]) -> str:
    """ "full" for whole weights, else the kind of the first adapter."""
    kind = next(iter(adapters.values())).kind
    return "full" if kind == WeightsAdapter.kind else kind


def _layers(adapter: Adapter) -> Iterable[str]:
    if isinstance(adapter, LoraAdapter):
        return adapter.pairs
    if isinstance(adapter, WeightsAdapter):
        return [name.rpartition(".")[0] for name in adapter.deltas]
    if isinstance(adapter, EmbeddingAdapter):
        return [key.removesuffix(".v") for key in adapter.state_dict() if key.endswith(".v")]
    return ()


def _part(layer: str) -> str:
    before, inside, after = layer.rpartition("transformer_blocks.")
    if inside:
        return after.split(".")[1]
    return "temp_convs" if ".temp_convs." in before + after else layer.rpartition(".")[2]
