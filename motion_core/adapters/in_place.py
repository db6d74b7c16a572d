"""Changed parameters in the place of a network's own, for the while of a context.

In: full names of parameters in a network, weights and biases of any layer. Out: W0 + strength · ΔW
in their places, and W0 itself again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .base import check_found, check_shape
from .lora.layer import LoraLinear


class Place(NamedTuple):
    """Where a parameter is kept: its module, and its name there."""

    module: nn.Module
    leaf: str

    @property
    def tensor(self) -> Tensor:
        tensor = self.module._parameters[self.leaf]
        assert tensor is not None
        return tensor


def find_places(network: nn.Module, names: Sequence[str]) -> dict[str, Place]:
    """The places of these parameters, below any LoRA that is injected there. Raises AdapterError
    if one is missing, or no name is given.
    """
    modules = dict(network.named_modules())
    found: dict[str, Place] = {}
    for name in names:
        path, _, leaf = name.rpartition(".")
        module = modules.get(path)
        if isinstance(module, LoraLinear):
            module = module.base_layer
        if isinstance(module, nn.Module) and module._parameters.get(leaf) is not None:
            found[name] = Place(module, leaf)
    check_found(names, found, "parameters")
    return found


@contextmanager
def swapped_in(swaps: Sequence[tuple[Place, Tensor]]) -> Iterator[None]:
    """These tensors stand in the parameters' places, in which the order of names stays.

    A cast copy is no nn.Parameter, so it is put in as `torch.func.functional_call` does it.
    """
    originals = [place.tensor for place, _ in swaps]
    try:
        for place, tensor in swaps:
            place.module._parameters[place.leaf] = tensor  # type: ignore[assignment]
        yield
    finally:
        for (place, _), original in zip(swaps, originals, strict=True):
            place.module._parameters[place.leaf] = original  # type: ignore[assignment]


@contextmanager
def added(
    network: nn.Module,
    shapes: Mapping[str, Sequence[int]],
    change: Callable[[str, torch.device], Tensor],
    strength: float,
) -> Iterator[None]:
    """Adds strength · ΔW to the parameters, in float32; the context puts the very same parameters
    back. Several may be added at once, inside each other.

    shapes: of ΔW, by the parameters' names. change: ΔW of a name, float32 on the device.
    Raises AdapterError if a parameter is missing or of another shape; the network is then
    untouched.
    """
    places = find_places(network, list(shapes))
    for name, place in places.items():
        check_shape(name, place.tensor.shape, shapes[name])
    with torch.no_grad():
        swaps = [
            (place, _sum(place.tensor, strength * change(name, place.tensor.device)))
            for name, place in places.items()
        ]
    with swapped_in(swaps):
        yield


def _sum(original: Tensor, change: Tensor) -> nn.Parameter:
    return nn.Parameter((original.float() + change).to(original.dtype), requires_grad=False)
