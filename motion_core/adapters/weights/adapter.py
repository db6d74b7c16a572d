"""Whole weights that were fine-tuned, as data: their difference to the base's own.

In: ΔW by the full names of parameters in a network, weights and biases of any layer. Out:
W = W0 + strength · ΔW, and back to W0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...backbones.base import Backbone, Family
from ...errors import FormatError
from ..base import Adapter, Scope, check_family, check_joins, check_same_shapes
from ..in_place import added
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
        """Adds strength · ΔW to the parameters; see `Adapter.applied`."""
        check_family(self.family, backbone.family)
        shapes = {name: delta.shape for name, delta in self.deltas.items()}
        with added(backbone.network, shapes, self._change, strength):
            yield

    def _change(self, name: str, device: torch.device) -> Tensor:
        return self.deltas[name].to(device, torch.float32)
