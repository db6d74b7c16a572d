"""A conversion from the command line: the file is read and checked, then the new one written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from ..adapter_file import load_adapter, read_previews, save_adapter
from ..adapters.base import Adapter
from ..adapters.lora_adapter import LoraAdapter
from ..adapters.weights import WeightsAdapter
from ..adapters.weights_to_lora import weights_to_lora
from ..backbones.tensor_files import write_tensors
from ..errors import AdapterError, SettingsError
from ..interop import animatediff_lora, diffusers_lora, peft_lora
from ..settings import require
from ..trained_info import adapter_rank, adapter_sites
from .terminal import say

EXPORTS: Mapping[str, Callable[[LoraAdapter], dict[str, Tensor]]] = {
    "animatediff": animatediff_lora,
    "diffusers": diffusers_lora,
    "peft": peft_lora,
}
DEFAULT_ADAPTER = "temporal"


def run_from_flags(path: Path, output: Path, to: str, rank: int, name: str | None) -> int:
    """to: "adapter" or a name in EXPORTS. rank: of LoRAs made from full weights. name: which
    adapter to export, None for the usual one.
    """
    require(rank >= 1, "--rank", rank, "at least 1")
    if output.suffix.lower() != ".safetensors":
        raise SettingsError(f"--output is {output}; expected a name that ends in .safetensors.")
    if output.exists() and path.exists() and output.samefile(path):
        raise SettingsError(f"--output is {output}, the file to convert. Give another name.")
    if to == "adapter":
        _convert_file(path, output, rank, name)
    else:
        _export(path, output, to, rank, name)
    say(f"The file is {output}")
    return 0


def _convert_file(path: Path, output: Path, rank: int, name: str | None) -> None:
    """All adapters of the file, full weights among them as LoRAs."""
    if name is not None:
        raise SettingsError(
            "--adapter chooses what to export; a file of this package keeps all adapters. Give "
            "--to animatediff, diffusers or peft with it."
        )
    info, adapters = load_adapter(path)
    if not any(isinstance(adapter, WeightsAdapter) for adapter in adapters.values()):
        raise AdapterError(
            f"{path.name} holds no full weights to convert (it is of kind {info.parametrisation}). "
            "To export it, give --to animatediff, diffusers or peft."
        )
    converted = {name: _as_lora(name, adapter, rank) for name, adapter in adapters.items()}
    info = dataclasses.replace(
        info,
        parametrisation="lora",
        rank=adapter_rank(converted),
        sites=adapter_sites(converted),
    )
    save_adapter(output, converted, info, read_previews(path))


def _export(path: Path, output: Path, to: str, rank: int, name: str | None) -> None:
    """One adapter, without what the file says of it: other programs ask for tensors alone."""
    _, adapters = load_adapter(path)
    chosen = _chosen(path, adapters, name)
    lora = _as_lora(chosen, adapters[chosen], rank)
    if not isinstance(lora, LoraAdapter):
        raise AdapterError(
            f"{chosen} in {path.name} is of kind {lora.kind!r}; other programs load LoRAs only. "
            "Apply it with this package."
        )
    write_tensors(output, EXPORTS[to](lora), {"format": "pt"})


def _chosen(path: Path, adapters: Mapping[str, Adapter], name: str | None) -> str:
    if name is None and len(adapters) == 1:
        return next(iter(adapters))
    chosen = name or DEFAULT_ADAPTER
    if chosen not in adapters:
        raise AdapterError(
            f"{path.name} holds no adapter {chosen!r}. Give --adapter, one of "
            f"{', '.join(adapters)}."
        )
    return chosen


def _as_lora(name: str, adapter: Adapter, rank: int) -> Adapter:
    """Full weights as a LoRA, and a word on what it keeps; any other adapter as it is."""
    if not isinstance(adapter, WeightsAdapter):
        return adapter
    conversion = weights_to_lora(adapter, rank)
    say(
        f"{name}: rank {rank} keeps {conversion.energy_kept:.1%} of the energy, in "
        f"{len(conversion.energy_by_layer)} layers"
    )
    if conversion.left_out:
        first = conversion.left_out[0]
        say(f"{name}: {len(conversion.left_out)} parameters are left out, the first {first}")
    return conversion.lora
