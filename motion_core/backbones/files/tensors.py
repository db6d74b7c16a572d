"""Model files as named tensors that are read one by one: `.safetensors`, and torch's own files
without running any code from them.

In: a path. Out: names, shapes and metadata at once, tensors on demand. Names come without a leading
"module.", and a torch file's nested "state_dict" is opened. The tensors of a torch file that is a
list are named "0", "1" and so on.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...errors import FormatError, MotionError
from ...files import replacing

TORCH_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin")


@dataclass(frozen=True, kw_only=True)
class TensorFile:
    """name: what messages call it. shapes: of every tensor, in file order. metadata: of the header.

    `read(key)` returns one tensor; it may share memory with the file, so copy before changing it.
    """

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)


def open_tensors(path: Path) -> TensorFile:
    """Opens a model file. Raises FormatError if it is missing, damaged or of no known kind."""
    path = Path(path)
    if path.is_dir():
        raise FormatError(f"{path} is a folder; expected a file. Give the file inside it.")
    if not path.is_file():
        raise FormatError(f"There is no file {path}. Check the path.")
    if path.suffix == ".safetensors":
        return _open_safetensors(path)
    if path.suffix in TORCH_SUFFIXES:
        return in_memory(_torch_tensors(path), path.name)
    raise FormatError(
        f"{path.name} is not a model file: expected .safetensors, {', '.join(TORCH_SUFFIXES)}."
    )


def in_memory(tensors: Mapping[str, Tensor], name: str) -> TensorFile:
    """Tensors that are already there, in the form of a file."""
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    return TensorFile(name=name, shapes=shapes, read=tensors.__getitem__)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes a `.safetensors` under a temporary name, then renames it: no half file is ever
    seen. Raises MotionError, naming the path, if the system does not let it be written.
    """
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    try:
        with replacing(Path(path)) as partial:
            save_file(plain, partial, dict(metadata))
    except SafetensorError as error:  # how safetensors reports a full disk
        raise MotionError(
            f"{path} cannot be written: {error}. Choose another location, or free up space."
        ) from error


def _open_safetensors(path: Path) -> TensorFile:
    try:
        file = safe_open(path, framework="pt", device="cpu")
        raw = {_plain(key): key for key in file.keys()}
        shapes = {key: tuple(file.get_slice(name).get_shape()) for key, name in raw.items()}
    except (SafetensorError, OSError) as error:
        raise FormatError(
            f"{path.name} is damaged or incomplete ({error}). Download or copy it again."
        ) from error
    return TensorFile(
        name=path.name,
        shapes=shapes,
        read=lambda key: file.get_tensor(raw[key]),
        metadata=file.metadata() or {},
    )


def _torch_tensors(path: Path) -> dict[str, Tensor]:
    try:
        content = _torch_load(path)
    except pickle.UnpicklingError as error:
        raise FormatError(
            f"{path.name} contains more than tensors, or is damaged, and was not opened because "
            "such a file can run code. Use a .safetensors version of it."
        ) from error
    except Exception as error:  # a damaged pickle may end in any of IndexError, struct.error …
        raise FormatError(
            f"{path.name} is damaged or incomplete ({type(error).__name__}). "
            "Download or copy it again."
        ) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if isinstance(content, list) and all(isinstance(value, Tensor) for value in content):
        content = {str(index): tensor for index, tensor in enumerate(content)}
    if not isinstance(content, dict):
        raise FormatError(f"{path.name} contains a {type(content).__name__}, not named tensors.")
    return {_plain(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _torch_load(path: Path) -> Any:
    with path.open("rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
    # Files from before torch 1.6 are no zip archives and cannot be mapped into memory.
    return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)


def _plain(key: str) -> str:
    return str(key).removeprefix("module.")
