"""Full fine-tuning: whole weights that are trained beside the base's own, and kept as their
difference.

In: a network and full names of parameters in it, weights and biases of any layer. Out: parameters
to train and, from them, a `WeightsAdapter`, which is applied as W = W0 + strength · ΔW. Used by
MotionCrafter (v2, Sec. 3.1 and 3.2.3); plain fine-tuning is its training at strength 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from ...backbones.base import Backbone, Family
from ...errors import AdapterError, FormatError
from ..base import Scope


@dataclass(frozen=True, kw_only=True)
class WeightsAdapter:
    """Trained changes of whole parameters. deltas: ΔW by the parameter's full name in the family's
    UNet, float32 on the CPU.
    """

    scope: Scope
    family: Family
    deltas: Mapping[str, Tensor]
    kind: str = "weights"

    def state_dict(self) -> dict[str, Tensor]:
        """The deltas under the parameters' own names."""
        return dict(self.deltas)

    @property
    def options(self) -> Mapping[str, object]:
        """None: the deltas are all there is."""
        return {}

    @classmethod
    def from_state_dict(
        cls,
        tensors: Mapping[str, Tensor],
        *,
        scope: Scope,
        family: Family,
        options: Mapping[str, object],
    ) -> WeightsAdapter:
        """The inverse of `state_dict`; raises FormatError for tensors that are no weights, or any
        options.
        """
        if options:
            raise FormatError(
                f"An adapter of full weights has no options; got {', '.join(options)}. Save it "
                "again."
            )
        odd = [name for name, tensor in tensors.items() if not tensor.is_floating_point()]
        if odd:
            raise FormatError(
                f"{odd[0]} is of type {tensors[odd[0]].dtype}; expected a floating one. The file "
                "is damaged or of another format."
            )
        deltas = {name: tensor.to("cpu", torch.float32) for name, tensor in tensors.items()}
        return cls(scope=scope, family=family, deltas=deltas)

    @contextmanager
    def applied(self, backbone: Backbone, strength: float) -> Iterator[None]:
        """Merges strength · ΔW into the parameters, in float32; the context puts the very same
        parameters back.

        Several may be applied at once, inside each other. Raises AdapterError if the family
        differs or a parameter is missing or of another shape; the model is then untouched.
        """
        if backbone.family != self.family:
            raise AdapterError(
                f"The adapter was trained on {self.family}, the base is {backbone.family}. "
                f"Use it with a base of the {self.family} family."
            )
        places = _find_places(backbone.network, list(self.deltas))
        for name, place in places.items():
            _check_shape(name, place.tensor, self.deltas[name])
        merged = []
        for name, place in places.items():
            tensor = _merged(place.tensor, self.deltas[name], strength)
            merged.append((place, nn.Parameter(tensor, requires_grad=False)))
        with _swapped_in(merged):
            yield


@dataclass(frozen=True, kw_only=True)
class TrainableWeights:
    """Copies of a network's parameters that are trained in their place.

    Outside of `active` the model is the base, bit for bit: this is the only copy of what is
    trained, and the frozen branch of a method is the same network without it.
    """

    copies: Mapping[str, _Copy]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Float32, in the order of the names given."""
        return [copy.trained for copy in self.copies.values()]

    @contextmanager
    def active(self) -> Iterator[None]:
        """The trained copies take part in the forward pass, in the base's dtype.

        Backward belongs inside the context too: a checkpointed block is recomputed there.
        """
        # For a base in half precision the cast is part of the graph: gradients reach the float32
        # copies. In float32 it is the copy itself.
        swaps = [(c.place, c.trained.to(c.original.dtype)) for c in self.copies.values()]
        with _swapped_in(swaps):
            yield

    def export(self, scope: Scope, family: Family) -> WeightsAdapter:
        """What has been learned so far, as differences to the base on the CPU."""
        deltas = {
            name: (copy.trained.detach() - copy.original.detach().float()).cpu()
            for name, copy in self.copies.items()
        }
        return WeightsAdapter(scope=scope, family=family, deltas=deltas)


def trainable_weights(network: nn.Module, names: Sequence[str]) -> TrainableWeights:
    """Float32 copies of these parameters, to be trained; the model is left as it is until they are
    made `active`.

    Raises AdapterError if a parameter is missing, or no name is given.
    """
    copies = {}
    for name, place in _find_places(network, names).items():
        trained = nn.Parameter(place.tensor.detach().to(torch.float32, copy=True))
        copies[name] = _Copy(place, place.tensor, trained)
    return TrainableWeights(copies=copies)


class _Place(NamedTuple):
    """Where a parameter is kept."""

    module: nn.Module
    leaf: str

    @property
    def tensor(self) -> Tensor:
        tensor = self.module._parameters[self.leaf]
        assert tensor is not None
        return tensor


class _Copy(NamedTuple):
    place: _Place
    original: Tensor
    trained: nn.Parameter


@contextmanager
def _swapped_in(swaps: Sequence[tuple[_Place, Tensor]]) -> Iterator[None]:
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


def _find_places(network: nn.Module, names: Sequence[str]) -> dict[str, _Place]:
    """The places of these parameters, below any LoRA that is injected there."""
    modules = dict(network.named_modules())
    found: dict[str, _Place] = {}
    for name in names:
        path, _, leaf = name.rpartition(".")
        module = modules.get(path)
        if isinstance(module, LoraLinear):
            module = module.get_base_layer()
        if isinstance(module, nn.Module) and module._parameters.get(leaf) is not None:
            found[name] = _Place(module, leaf)
    missing = [name for name in names if name not in found]
    if missing or not found:
        some = ", ".join(missing[:3]) or "no names given"
        raise AdapterError(
            f"{len(missing)} of {len(names)} parameters to adapt are not in this base: {some}. "
            "Use the base (family and version) that the adapter was made for."
        )
    return found


def _check_shape(name: str, tensor: Tensor, delta: Tensor) -> None:
    if tensor.shape != delta.shape:
        raise AdapterError(
            f"Parameter {name} has shape {tuple(tensor.shape)}; the adapter's is "
            f"{tuple(delta.shape)}. Use the base that the adapter was made for."
        )


@torch.no_grad()
def _merged(tensor: Tensor, delta: Tensor, strength: float) -> Tensor:
    change = strength * delta.to(tensor.device, torch.float32)
    return (tensor.float() + change).to(tensor.dtype)
