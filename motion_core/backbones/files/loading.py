"""Fills an empty model from files, tensor by tensor, so that no second copy is ever whole.

In: a model on the meta device, and sections of files with their key maps. Out: the same model with
every tensor in place, or a FormatError that names what is missing, unknown or of another shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ...errors import FormatError, MotionError
from .keys import KeyMap, Place, convolution_dimensions
from .tensors import TensorFile

Model = TypeVar("Model", bound=nn.Module)

SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Section:
    """The part of a file that fills a model, or a part of one.

    part: what messages call it ("the UNet"). prefix: every key of the file that starts so must be
    used, unless it matches the regular expression `ignored`. optional: likewise, names of the model
    that need not be in the file and are computed instead.
    """

    file: TensorFile
    keys: KeyMap
    part: str
    prefix: str = ""
    ignored: str | None = None
    optional: str = r"\.pos_embed\.pe$"

    def __post_init__(self) -> None:
        places = {place.key for names in self.keys.values() for place in names}
        unknown = [
            key
            for key in self.file.shapes
            if key.startswith(self.prefix)
            and key not in places
            and not (self.ignored and re.search(self.ignored, key))
        ]
        missing = [
            places[0].key
            for name, places in self.keys.items()
            if self.place(places) is None and not re.search(self.optional, name)
        ]
        if missing:
            raise FormatError(
                f"{self.file.name} lacks {len(missing)} of {len(self.keys)} tensors of "
                f"{self.part}: {_some(missing)}. The file is incomplete or of another kind."
            )
        if unknown:
            raise FormatError(
                f"{self.file.name} has {len(unknown)} tensors that {self.part} does not have: "
                f"{_some(unknown)}. The file is of another kind or version."
            )

    def place(self, places: Iterable[Place]) -> Place | None:
        """The first of the places that the file has."""
        return next((place for place in places if place.key in self.file.shapes), None)


@contextmanager
def using_configuration(source: str) -> Iterator[None]:
    """Whatever odd values in a configuration lead to is a FormatError. source: where it is from."""
    try:
        yield
    except MotionError:
        raise
    except Exception as error:  # the libraries check values with errors of any kind
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise FormatError(
            f"The configuration of {source} cannot be used ({reason}). Download it again."
        ) from error


def build_empty(build: Callable[[], Model], source: str = "the model") -> Model:
    """The model that `build` returns, without memory for its tensors.

    source: what the model is to be filled from. Raises FormatError if its configuration is odd.
    """
    with using_configuration(source), torch.device("meta"):
        return build()


def fill(
    model: Model, sections: Sequence[Section], dtype: torch.dtype, device: torch.device | str
) -> Model:
    """Gives an empty model its tensors, cast to `dtype` on `device`, and returns it. On the meta
    device nothing is read, so that a file can be checked as it is loaded.

    Raises FormatError on a tensor of another shape or of whole numbers, before any is read. The
    sections cover all names of the model.
    """
    from diffusers.models.embeddings import SinusoidalPositionalEmbedding  # heavy

    wanted = model.state_dict()
    places = checked_places(model, sections)
    dry = torch.device(device).type == "meta"
    tensors: dict[str, Tensor] = {}
    for name, (file, place) in places.items():
        shape = wanted[name].shape
        tensors[name] = (
            torch.empty(shape, dtype=dtype, device=device)
            if dry
            else _fitted(file, place, shape).to(device, dtype, copy=True)
        )
    for name in wanted.keys() - tensors.keys():
        _, length, width = wanted[name].shape
        encoding: Any = SinusoidalPositionalEmbedding(width, length).pe
        tensors[name] = encoding.to(device, dtype)
    model.load_state_dict(tensors, strict=True, assign=True)
    if not dry:
        _restore_position_ids(model, device)
    return model.eval().requires_grad_(False)


def checked_places(
    model: nn.Module, sections: Sequence[Section]
) -> dict[str, tuple[TensorFile, Place]]:
    """Where each tensor of the model is; names that are in no file are left out.

    Raises FormatError on a tensor of another shape or of whole numbers; nothing is read.
    """
    wanted = model.state_dict()
    places = {
        name: (section.file, place)
        for section in sections
        for name, some in section.keys.items()
        if (place := section.place(some)) is not None
    }
    for name, (file, place) in places.items():
        _check_fits(file, place, wanted[name].shape)
    return places


def gather(model: nn.Module, keys: KeyMap) -> dict[str, Tensor]:
    """The model's tensors under their names in a file: the way back from `fill`.

    Tensors that `keys` leaves out are left out. A third of a larger matrix cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        shape = (*tensor.shape, *(1,) * convolution_dimensions(name))
        copies = keys.get(name, ())[: None if ".pos_embed." in name else 1]
        for index, place in enumerate(copies):
            assert place.third is None
            whole = tensor.reshape(shape)
            tensors[place.key] = whole if index == 0 else whole.clone()
    return tensors


def _check_fits(file: TensorFile, place: Place, shape: Sequence[int]) -> None:
    file.require_weights([place.key])
    found = file.shapes[place.key]
    if place.third is not None and found:
        found = (found[0] // 3, *found[1:])
    if _without_ones(found) != _without_ones(shape):
        raise FormatError(
            f"{file.name}: {place.key} is {tuple(found)}, expected {tuple(shape)}. "
            "The file was made for a model of another size."
        )


def _fitted(file: TensorFile, place: Place, shape: Sequence[int]) -> Tensor:
    tensor = file.read(place.key)
    if place.third is not None:
        tensor = tensor.chunk(3)[place.third]
    # Some files keep matrices as convolutions of width 1.
    return tensor.reshape(tuple(shape))


def _without_ones(shape: Sequence[int]) -> list[int]:
    sizes = list(shape)
    while len(sizes) > 1 and sizes[-1] == 1:
        sizes.pop()
    return sizes


def _restore_position_ids(model: nn.Module, device: torch.device | str) -> None:
    """CLIP's only buffer that is in no file."""
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:
                assert name == "position_ids", name
                ids = torch.arange(buffer.shape[-1], device=device).expand(buffer.shape)
                module.register_buffer(name, ids.clone(), persistent=False)


def _some(keys: Sequence[str]) -> str:
    return ", ".join(keys[:SHOWN]) + (" …" if len(keys) > SHOWN else "")
