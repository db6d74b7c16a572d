"""A conversion from the command line: the file is read and checked, then the new one written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..adapter_files.conversion import chosen_name, export_lora, kept_lines, weights_as_loras
from ..adapter_files.formats import FORMATS
from ..adapter_files.other_programs import left_out_lines, renamed
from ..adapter_files.own import load_adapter, read_previews, save_adapter
from ..adapter_files.reading import read_any_adapter
from ..adapters.weights.to_lora import Conversion
from ..backbones.files.kinds import role_of
from ..backbones.files.lora_content import LoraContent, lora_content
from ..backbones.files.roles import Role
from ..backbones.files.tensors import open_tensors, write_tensors
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
    file = open_tensors(path)
    content = lora_content(file) if role_of(file) is not Role.OWN_ADAPTER else None
    if content is not None:
        _rename(content, output, to, name)
        return
    loaded = read_any_adapter(path)
    chosen = chosen_name(loaded.adapters, name, path.name, "--adapter")
    made = weights_as_loras(loaded.info, {chosen: loaded.adapters[chosen]}, rank)
    tensors, metadata = export_lora(made.adapters, chosen, to, path.name)
    _say_what_is_kept(rank, made.conversions)
    write_tensors(output, tensors, metadata)


def _rename(content: LoraContent, output: Path, to: str, name: str | None) -> None:
    """Another program's LoRA, all that the format has names for."""
    if name is not None:
        raise SettingsError(
            f"--adapter chooses one of an adapter file's parts; {content.file.name} is a LoRA of "
            "another program, which is converted as a whole. Leave it out."
        )
    made = renamed(content, to)
    for line in left_out_lines(content.file.name, made.left_out):
        say(line)
    write_tensors(output, made.tensors, {"format": "pt"})


def _say_what_is_kept(rank: int, conversions: Mapping[str, Conversion]) -> None:
    for name, conversion in conversions.items():
        say("\n".join(kept_lines(name, rank, conversion)))


def _others() -> str:
    *first, last = FORMATS
    return f"{', '.join(first)} or {last}"
