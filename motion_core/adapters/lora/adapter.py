"""A trained LoRA as data: two matrices a layer, applied by merging.

In: `LoraPair`s by the full names of linear layers in a network. Out: W = W0 + strength · up @ down
(LoRA, Hu et al. 2021, Eq. 3; MotionDirector, ECCV 2024, has strength γ), and back to W0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...backbones.base import Backbone, Family
from ...errors import FormatError
from ..base import Adapter, Scope, check_family, check_found, check_joins, check_same_shapes
from ..in_place import added
from .keys import LoraPair, from_keys, lora_names, to_keys
from .layer import LoraLinear


@dataclass(frozen=True, kw_only=True)
class LoraAdapter:
    """A trained LoRA. pairs: by the layer's full name in the network, float32 on the CPU."""

    scope: Scope
    family: Family
    pairs: Mapping[str, LoraPair]
    kind: str = "lora"

    def state_dict(self) -> dict[str, Tensor]:
        """Its tensors under the names that the adapter file uses; see `lora_keys`."""
        return to_keys(self.pairs, lora_names(self.scope, self.family))

    @property
    def options(self) -> Mapping[str, object]:
        """None: the scale is in the matrices."""
        return {}

    @classmethod
    def from_state_dict(
        cls,
        tensors: Mapping[str, Tensor],
        *,
        scope: Scope,
        family: Family,
        options: Mapping[str, object],
    ) -> LoraAdapter:
        """The inverse of `state_dict`; raises FormatError for other names or shapes, or any
        options.
        """
        if options:
            raise FormatError(f"A LoRA has no options; got {', '.join(options)}. Save it again.")
        pairs = {
            name: LoraPair(*(matrix.to("cpu", torch.float32) for matrix in pair))
            for name, pair in from_keys(tensors, lora_names(scope, family)).items()
        }
        return cls(scope=scope, family=family, pairs=pairs)

    @property
    def rank(self) -> int | None:
        """The largest of its layers; None without any."""
        return max((pair.down.shape[0] for pair in self.pairs.values()), default=None)

    def layers(self) -> list[str]:
        """Those that have a pair."""
        return list(self.pairs)

    def weight_changes(self) -> dict[str, Tensor]:
        """ΔW = up @ down of every layer's weight."""
        return {f"{layer}.weight": pair.up @ pair.down for layer, pair in self.pairs.items()}

    def scaled(self, strength: float) -> LoraAdapter:
        """With the strength in `up`."""
        pairs = {name: LoraPair(down, strength * up) for name, (down, up) in self.pairs.items()}
        return replace(self, pairs=pairs)

    def joins(self, other: Adapter) -> bool:
        """Other LoRAs; whether another kind takes LoRAs in, that kind knows."""
        return isinstance(other, LoraAdapter) or other.joins(self)

    def joined(self, others: Sequence[Adapter]) -> Adapter:
        """LoRAs with their ranks side by side, [up₁ up₂ …] · [down₁; down₂; …]; with another kind,
        what that makes of them.

        A layer that not all of them have is filled up with zeros, since programs expect one rank.
        """
        check_joins(self, others, "LoRAs can only be added to LoRAs and full weights")
        loras = [self, *(other for other in others if isinstance(other, LoraAdapter))]
        if foreign := [other for other in others if not isinstance(other, LoraAdapter)]:
            return foreign[0].joined([*loras, *foreign[1:]])
        rank = sum(lora.rank or 0 for lora in loras)
        names = dict.fromkeys(name for lora in loras for name in lora.pairs)
        pairs = {
            name: _side_by_side(name, [a.pairs[name] for a in loras if name in a.pairs], rank)
            for name in names
        }
        return replace(self, pairs=pairs)

    @contextmanager
    def applied(self, backbone: Backbone, strength: float) -> Iterator[None]:
        """Adds strength · up @ down to the weights; see `Adapter.applied`."""
        check_family(self.family, backbone.family)
        shapes = {
            f"{layer}.weight": (up.shape[0], down.shape[1])
            for layer, (down, up) in self.pairs.items()
        }
        with added(backbone.network, shapes, self._change, strength):
            yield

    def _change(self, weight: str, device: torch.device) -> Tensor:
        pair = self.pairs[weight.removesuffix(".weight")]
        down, up = (matrix.to(device, torch.float32) for matrix in pair)
        return up @ down


def find_linears(network: nn.Module, names: Sequence[str]) -> dict[str, nn.Linear]:
    """The linear layers of these full names, below any LoRA that is injected there.

    Raises AdapterError if one is missing or is no linear layer, or if no name is given.
    """
    modules = dict(network.named_modules())
    found: dict[str, nn.Linear] = {}
    for name in names:
        module = modules.get(name)
        linear = module.base_layer if isinstance(module, LoraLinear) else module
        if isinstance(linear, nn.Linear):
            found[name] = linear
    check_found(names, found, "linear layers")
    return found


def _side_by_side(layer: str, pairs: Sequence[LoraPair], rank: int) -> LoraPair:
    check_same_shapes(layer, [(pair.up.shape[0], pair.down.shape[1]) for pair in pairs])
    down = torch.cat([pair.down for pair in pairs])
    up = torch.cat([pair.up for pair in pairs], dim=1)
    missing = rank - down.shape[0]
    return LoraPair(F.pad(down, (0, 0, 0, missing)), F.pad(up, (0, missing)))
