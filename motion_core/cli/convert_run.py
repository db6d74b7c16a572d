"""A conversion from the command line: the file is read and checked, then the new one written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..adapter_files.conversion import chosen_name, export_lora, kept_lines, weights_as_loras
from ..adapter_files.formats import FORMATS
from ..adapter_files.own import load_adapter, read_previews, save_adapter
from ..adapters.weights.to_lora import Conversion
from ..backbones.files.tensors import write_tensors
from ..errors import AdapterError, SettingsError
from ..settings import require
from .terminal import say


def run_from_flags(path: Path, output: Path, to: str, rank: int, name: str | None) -> int:
    """to: "adapter" or a name in `formats.FORMATS`. rank: of LoRAs made from full weights. name:
    which adapter to export, None for the usual one.
    """
    require(rank >= 1, "--rank", rank, "at least 1")
    if output.suffix.lower() != ".safetensors":
        raise SettingsError(f"--output is {output}; expected a name ending in .safetensors.")
    if output.exists() and path.exists() and output.samefile(path):
        raise SettingsError(f"--output is {output}, the file to convert. Choose another name.")
    if to == "adapter":
        _convert_file(path, output, rank, name)
    else:
        _export(path, output, to, rank, name)
    say(f"Saved as {output}")
    return 0


def _convert_file(path: Path, output: Path, rank: int, name: str | None) -> None:
    """All adapters of the file, full weights among them as LoRAs."""
    if name is not None:
        raise SettingsError(
            "--adapter chooses what to export, but this package's own format keeps all adapters. "
            f"Combine it with --to {_others()}."
        )
    info, adapters = load_adapter(path)
    made = weights_as_loras(info, adapters, rank)
    if not made.conversions:
        raise AdapterError(
            f"{path.name} contains no full weights to convert (it is of kind "
            f"{info.parametrisation}). To export it, use --to {_others()}."
        )
    _say_what_is_kept(rank, made.conversions)
    save_adapter(output, made.adapters, made.info, read_previews(path))


def _export(path: Path, output: Path, to: str, rank: int, name: str | None) -> None:
    """One adapter, without what the file says of it: other programs ask for tensors alone."""
    info, adapters = load_adapter(path)
    chosen = chosen_name(adapters, name, path.name, "--adapter")
    made = weights_as_loras(info, {chosen: adapters[chosen]}, rank)
    tensors = export_lora(made.adapters, chosen, to, path.name)
    _say_what_is_kept(rank, made.conversions)
    write_tensors(output, tensors, {"format": "pt"})


def _say_what_is_kept(rank: int, conversions: Mapping[str, Conversion]) -> None:
    for name, conversion in conversions.items():
        say("\n".join(kept_lines(name, rank, conversion)))


def _others() -> str:
    *first, last = FORMATS
    return f"{', '.join(first)} or {last}"
