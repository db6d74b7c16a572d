"""Adapters in other forms: full weights as LoRAs, and LoRAs in other programs' formats.

In: adapters by name and what their file says of them. Out: the same as LoRAs, or tensors for
`backbones.files.tensors.write_tensors`, and what a LoRA keeps of the weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..adapters import check_kinds
from ..adapters.base import Adapter
from ..adapters.lora.adapter import LoraAdapter
from ..adapters.weights.adapter import WeightsAdapter
from ..adapters.weights.to_lora import Conversion, weights_to_lora
from ..errors import AdapterError
from .other_programs import export_metadata, exported
from .own import AdapterInfo
from .summary import adapter_rank, adapter_sites

DEFAULT_ADAPTER = "temporal"


@dataclass(frozen=True, kw_only=True)
class AsLoras:
    """adapters: all, full weights among them as LoRAs. info: of these. conversions: by the name of
    each adapter that was converted.
    """

    info: AdapterInfo
    adapters: Mapping[str, Adapter]
    conversions: Mapping[str, Conversion]


def weights_as_loras(info: AdapterInfo, adapters: Mapping[str, Adapter], rank: int) -> AsLoras:
    """All full weights as LoRAs of this rank; adapters of other kinds stay as they are.

    Raises SettingsError for a rank below 1, AdapterError if a LoRA can hold no layer of one or a
    kind is unknown.
    """
    check_kinds(adapters.values())
    conversions = {
        name: weights_to_lora(adapter, rank)
        for name, adapter in adapters.items()
        if isinstance(adapter, WeightsAdapter)
    }
    loras = {name: conversion.lora for name, conversion in conversions.items()}
    converted: dict[str, Adapter] = {**adapters, **loras}
    if conversions:
        info = dataclasses.replace(
            info,
            parametrisation="lora",
            rank=adapter_rank(converted),
            sites=adapter_sites(converted),
        )
    return AsLoras(info=info, adapters=converted, conversions=conversions)


def export_lora(
    adapters: Mapping[str, Adapter], name: str, to: str, source: str
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of one LoRA under another program's names, and the header of their file; to: a
    name in `formats.FORMATS`.

    source: what messages call the adapters' file. Raises AdapterError for an adapter that is no
    LoRA, or one that the program does not load.
    """
    adapter = adapters[name]
    if not isinstance(adapter, LoraAdapter):
        raise AdapterError(
            f"{name} in {source} is of kind {adapter.kind!r}; other programs only load LoRAs. "
            "Apply it with this package."
        )
    return exported(adapter, to), export_metadata(adapter)


def chosen_name(adapters: Mapping[str, Adapter], name: str | None, source: str, option: str) -> str:
    """Which adapter to export: the one named, else the motion, else the only one.

    option: what messages call the choice. Raises AdapterError if there is none of that name.
    """
    if name is None and len(adapters) == 1:
        return next(iter(adapters))
    chosen = name or DEFAULT_ADAPTER
    if chosen not in adapters:
        raise AdapterError(
            f"{source} contains no adapter {chosen!r}. Set {option} to one of "
            f"{', '.join(adapters)}."
        )
    return chosen


def kept_lines(name: str, rank: int, conversion: Conversion) -> list[str]:
    """What a LoRA keeps of full weights, for people."""
    lines = [
        f"{name}: rank {rank} keeps {conversion.energy_kept:.1%} of the energy, in "
        f"{len(conversion.energy_by_layer)} layers"
    ]
    if conversion.left_out:
        first = conversion.left_out[0]
        lines.append(
            f"{name}: {len(conversion.left_out)} parameters were left out, such as {first}"
        )
    return lines
