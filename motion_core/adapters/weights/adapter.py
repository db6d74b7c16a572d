"""Whole weights that were fine-tuned, as data: their difference to the base's own.

In: ΔW by the full names of parameters in a network, weights and biases of any layer. Out:
W = W0 + strength · ΔW, and back to W0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...backbones.base import Backbone, Family
from ...errors import FormatError
from ..base import (
    Adapter,
    Scope,
    check_family,
    check_found,
    check_joins,
    check_same_shapes,
    check_shape,
)
from ..lora.adapter import LoraAdapter


@dataclass(frozen=True, kw_only=True)
class WeightsAdapter:
    """Trained changes of whole parameters. deltas: ΔW by the parameter's full name in the network,
    float32 on the CPU.
    """

    scope: Scope
    family: Family
    deltas: Mapping[str, Tensor]
    kind: str = "weights"
    rank: int | None = None

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
                f"{odd[0]} is of type {tensors[odd[0]].dtype}; expected a floating-point type. "
                "The file is damaged or in another format."
            )
        deltas = {name: tensor.to("cpu", torch.float32) for name, tensor in tensors.items()}
        return cls(scope=scope, family=family, deltas=deltas)

    def layers(self) -> list[str]:
        """Those that have a changed parameter."""
        return list(dict.fromkeys(name.rpartition(".")[0] for name in self.deltas))

    def weight_changes(self) -> dict[str, Tensor]:
        """ΔW."""
        return dict(self.deltas)

    def scaled(self, strength: float) -> WeightsAdapter:
        """strength · ΔW."""
        return replace(self, deltas={name: strength * d for name, d in self.deltas.items()})

    def joins(self, other: Adapter) -> bool:
        """Whole weights and LoRAs."""
        return isinstance(other, WeightsAdapter | LoraAdapter)

    def joined(self, others: Sequence[Adapter]) -> WeightsAdapter:
        """The sum, Σ ΔW; LoRAs become whole weights in it."""
        check_joins(self, others, "full weights can only be added to full weights and LoRAs")
        total = dict(self.deltas)
        for other in sorted(others, key=lambda other: other.kind != self.kind):
            for name, delta in (other.weight_changes() or {}).items():
                if name in total:
                    check_same_shapes(name, [total[name].shape, delta.shape])
                    delta = total[name] + delta
                total[name] = delta
        return replace(self, deltas=total)

    @contextmanager
    def applied(self, backbone: Backbone, strength: float) -> Iterator[None]:
        """Merges strength · ΔW into the parameters, in float32; the context puts the very same
        parameters back.

        Several may be applied at once, inside each other. Raises AdapterError if the family
        differs or a parameter is missing or of another shape; the model is then untouched.
        """
        check_family(self.family, backbone.family)
        places = find_places(backbone.network, list(self.deltas))
        for name, place in places.items():
            check_shape(name, place.tensor.shape, self.deltas[name].shape)
        merged = []
        for name, place in places.items():
            tensor = _merged(place.tensor, self.deltas[name], strength)
            merged.append((place, nn.Parameter(tensor, requires_grad=False)))
        with swapped_in(merged):
            yield


class Place(NamedTuple):
    """Where a parameter is kept: its module, and its name there."""

    module: nn.Module
    leaf: str

    @property
    def tensor(self) -> Tensor:
        tensor = self.module._parameters[self.leaf]
        assert tensor is not None
        return tensor


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


def find_places(network: nn.Module, names: Sequence[str]) -> dict[str, Place]:
    """The places of these parameters, below any LoRA that is injected there."""
    from peft.tuners.lora import Linear as LoraLinear  # heavy

    modules = dict(network.named_modules())
    found: dict[str, Place] = {}
    for name in names:
        path, _, leaf = name.rpartition(".")
        module = modules.get(path)
        if isinstance(module, LoraLinear):
            module = module.get_base_layer()
        if isinstance(module, nn.Module) and module._parameters.get(leaf) is not None:
            found[name] = Place(module, leaf)
    check_found(names, found, "parameters")
    return found


@torch.no_grad()
def _merged(tensor: Tensor, delta: Tensor, strength: float) -> Tensor:
    change = strength * delta.to(tensor.device, torch.float32)
    return (tensor.float() + change).to(tensor.dtype)
