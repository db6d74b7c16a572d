"""Model files as named tensors that are read one by one: safetensors, and torch's own files without
running any code from them. Which of the two a file is, its content says (see `contents`).

In: a path. Out: names, shapes and metadata at once, tensors on demand. Names come without a leading
"module.", and nested dictionaries of a torch file, such as its "state_dict", are opened. The
tensors of a torch file that is a list are named "0", "1" and so on.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...errors import FormatError, MotionError
from ...files import replacing
from .contents import container

SAFETENSORS_SUFFIXES = (".safetensors", ".sft")
TORCH_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin")
SUFFIXES = (*SAFETENSORS_SUFFIXES, *TORCH_SUFFIXES)
# Of dictionaries in a torch file, one of which may contain itself.
_DEEPEST = 3
# What safetensors' header calls the types that are not floating point.
_INTEGERS = re.compile(r"[IU]\d+|BOOL")


@dataclass(frozen=True, kw_only=True)
class TensorFile:
    """name: what messages call it. shapes: of every tensor, in file order. metadata: of the header.
    integers: the tensors that are not floating point, which are no weights.

    `read(key)` returns one tensor; it may share memory with the file, so copy before changing it.
    """

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)
    integers: Collection[str] = frozenset()

    def require_weights(self, keys: Iterable[str]) -> None:
        """Raises FormatError if one of the tensors is not floating point."""
        if odd := [key for key in keys if key in self.integers]:
            raise FormatError(
                f"{self.name}: {odd[0]} is not floating point. The file is quantised or damaged. "
                "Use a version in half or full precision."
            )


def open_tensors(path: Path) -> TensorFile:
    """Opens a model file. Raises FormatError if it is missing, damaged or of no known kind."""
    path = Path(path)
    if path.is_dir():
        raise FormatError(f"{path} is a folder; expected a file. Give the file inside it.")
    if not path.is_file():
        raise FormatError(f"There is no file {path}. Check the path.")
    if path.suffix.lower() not in SUFFIXES:
        raise FormatError(f"{path.name} is not a model file: expected {', '.join(SUFFIXES)}.")
    try:
        kind = container(path)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}. Check its access.") from error
    is_safetensors = path.suffix.lower() in SAFETENSORS_SUFFIXES
    if kind == "safetensors" or (kind is None and is_safetensors):
        return _open_safetensors(path)
    return in_memory(_torch_tensors(path), path.name)


def in_memory(tensors: Mapping[str, Tensor], name: str) -> TensorFile:
    """Tensors that are already there, in the form of a file."""
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    integers = frozenset(key for key, t in tensors.items() if not t.is_floating_point())
    return TensorFile(name=name, shapes=shapes, read=tensors.__getitem__, integers=integers)


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
        slices = {key: file.get_slice(name) for key, name in raw.items()}
        shapes = {key: tuple(part.get_shape()) for key, part in slices.items()}
    except (SafetensorError, OSError) as error:
        raise FormatError(
            f"{path.name} is damaged or incomplete ({error}). Download or copy it again."
        ) from error
    return TensorFile(
        name=path.name,
        shapes=shapes,
        read=lambda key: file.get_tensor(raw[key]),
        metadata=file.metadata() or {},
        integers=frozenset(
            key for key, part in slices.items() if _INTEGERS.fullmatch(part.get_dtype())
        ),
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
    if isinstance(content, dict):
        return {_plain(key): tensor for key, tensor in _opened(content).items()}
    if isinstance(content, list) and all(isinstance(value, Tensor) for value in content):
        return {str(index): tensor for index, tensor in enumerate(content)}
    raise FormatError(f"{path.name} contains a {type(content).__name__}, not named tensors.")


def _opened(content: Mapping[Any, Any], depth: int = 0) -> dict[str, Tensor]:
    """The tensors of a dictionary: those in its "state_dict", else its own, else those of the
    dictionaries in it, which keep the names of these if there are several.
    """
    nested = {str(key): value for key, value in content.items() if isinstance(value, dict)}
    if "state_dict" in nested:
        nested, content = {"state_dict": nested["state_dict"]}, {}
    plain = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if plain or depth == _DEEPEST:
        return plain
    inner = {
        name: tensors for name, part in nested.items() if (tensors := _opened(part, depth + 1))
    }
    if len(inner) == 1:
        return next(iter(inner.values()))
    return {f"{name}.{key}": t for name, part in inner.items() for key, t in part.items()}


def _torch_load(path: Path) -> Any:
    with path.open("rb") as file:
        # Files from before torch 1.6 are no zip archives and cannot be mapped into memory; torch
        # takes a path that ends in .safetensors for such a file, whatever is in it.
        if file.read(4) != b"PK\x03\x04" or path.suffix.lower() in SAFETENSORS_SUFFIXES:
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True)
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _plain(key: str) -> str:
    return str(key).removeprefix("module.")
