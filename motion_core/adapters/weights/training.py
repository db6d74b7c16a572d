"""Full fine-tuning: copies of a network's parameters that are trained beside the base's own.

In: a network and full names of parameters in it, weights and biases of any layer. Out: parameters
to train and, from them, a `WeightsAdapter`. Used by MotionCrafter (v2, Sec. 3.1 and 3.2.3); plain
fine-tuning is its training at strength 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...backbones.base import Backbone, Family
from ..base import Scope
from ..in_place import Place, find_places, swapped_in
from .adapter import WeightsAdapter


@dataclass(frozen=True, kw_only=True)
class TrainableWeights:
    """Copies of a network's parameters that are trained in their place.

    Outside of `active` the model is the base, bit for bit: this is the only copy of what is
    trained, and the frozen branch of a method is the same network without it.
    """

    scope: Scope
    family: Family
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
        with swapped_in(swaps):
            yield

    def export(self) -> WeightsAdapter:
        """What has been trained so far, as differences to the base on the CPU."""
        deltas = {
            name: (copy.trained.detach() - copy.original.detach().float()).cpu()
            for name, copy in self.copies.items()
        }
        return WeightsAdapter(scope=self.scope, family=self.family, deltas=deltas)


@dataclass(frozen=True, kw_only=True)
class WeightsPlan:
    """Whole parameters, of these full names, to be trained."""

    scope: Scope
    names: Sequence[str]

    def count(self, network: nn.Module) -> int:
        """Numbers that it trains."""
        return sum(network.get_parameter(name).numel() for name in self.names)

    def made(
        self, name: str, backbone: Backbone, rng: torch.Generator
    ) -> AbstractContextManager[TrainableWeights]:
        """See `trainable_weights`."""
        weights = trainable_weights(
            backbone.network, self.names, scope=self.scope, family=backbone.family
        )
        return nullcontext(weights)


def trainable_weights(
    network: nn.Module, names: Sequence[str], *, scope: Scope, family: Family
) -> TrainableWeights:
    """Float32 copies of these parameters, to be trained; the model is left as it is until they are
    made `active`.

    Raises AdapterError if a parameter is missing, or no name is given.
    """
    copies = {}
    for name, place in find_places(network, names).items():
        trained = nn.Parameter(place.tensor.detach().to(torch.float32, copy=True))
        copies[name] = _Copy(place, place.tensor, trained)
    return TrainableWeights(scope=scope, family=family, copies=copies)


class _Copy(NamedTuple):
    place: Place
    original: Tensor
    trained: nn.Parameter
