"""What an adapter file says about the adapters in it: rank, sites and parametrisation."""

from __future__ import annotations

from collections.abc import Mapping

from ..adapters import check_kinds
from ..adapters.base import Adapter


def adapter_rank(adapters: Mapping[str, Adapter]) -> int | None:
    """The largest rank of the LoRAs; None without one."""
    check_kinds(adapters.values())
    ranks = (adapter.rank for adapter in adapters.values())
    return max((rank for rank in ranks if rank is not None), default=None)


def adapter_sites(adapters: Mapping[str, Adapter]) -> tuple[str, ...]:
    """ "temporal.attn1" and the like: the scope, and the part of a transformer block, else the
    layer's name; "temporal.temp_convs" is all of the temporal convolutions.
    """
    check_kinds(adapters.values())
    sites = {
        f"{adapter.scope}.{_part(layer)}"
        for adapter in adapters.values()
        for layer in adapter.layers()
    }
    return tuple(sorted(sites))


def adapter_parametrisation(adapters: Mapping[str, Adapter]) -> str:
    """ "full" for whole weights, else the kind of the first adapter."""
    kind = next(iter(adapters.values())).kind
    return {"weights": "full"}.get(kind, kind)


def _part(layer: str) -> str:
    before, inside, after = layer.rpartition("transformer_blocks.")
    if inside:
        return after.split(".")[1]
    return "temp_convs" if ".temp_convs." in before + after else layer.rpartition(".")[2]
