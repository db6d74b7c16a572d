"""A trained LoRA as data: two matrices a layer, applied by merging.

In: `LoraPair`s by the full names of linear layers in a network. Out: W = W0 + strength · up @ down
(LoRA, Hu et al. 2021, Eq. 3; MotionDirector, ECCV 2024, has strength γ), and back to W0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from ...backbones.base import Backbone, Family
from ...errors import AdapterError, FormatError
from ..base import Scope
from .keys import LoraPair, from_file_keys, to_file_keys


@dataclass(frozen=True, kw_only=True)
class LoraAdapter:
    """A trained LoRA. pairs: by the layer's full name in the family's UNet, float32 on the CPU."""

    scope: Scope
    family: Family
    pairs: Mapping[str, LoraPair]
    kind: str = "lora"

    def state_dict(self) -> dict[str, Tensor]:
        """Its tensors under the names that the adapter file uses; see `lora_keys`."""
        return to_file_keys(self.pairs, self.scope, self.family)

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
            for name, pair in from_file_keys(tensors, scope, family).items()
        }
        return cls(scope=scope, family=family, pairs=pairs)

    @contextmanager
    def applied(self, backbone: Backbone, strength: float) -> Iterator[None]:
        """Merges strength · up @ down into the weights, in float32; the context puts the very same
        tensors back.

        Several may be applied at once, inside each other. Raises AdapterError if the family
        differs or a layer is missing or of another shape; the model is then untouched.
        """
        if backbone.family != self.family:
            raise AdapterError(
                f"The adapter was trained on {self.family}, the base is {backbone.family}. "
                f"Use it with a base of the {self.family} family."
            )
        linears = find_linears(backbone.network, list(self.pairs))
        for name, linear in linears.items():
            _check_shape(name, linear, self.pairs[name])
        with ExitStack() as stack:
            for name, linear in linears.items():
                stack.enter_context(_merged(linear, self.pairs[name], strength))
            yield


def find_linears(network: nn.Module, names: Sequence[str]) -> dict[str, nn.Linear]:
    """The linear layers of these full names, below any LoRA that is injected there.

    Raises AdapterError if one is missing or is no linear layer, or if no name is given.
    """
    modules = dict(network.named_modules())
    found: dict[str, nn.Linear] = {}
    for name in names:
        module = modules.get(name)
        linear = module.get_base_layer() if isinstance(module, LoraLinear) else module
        if isinstance(linear, nn.Linear):
            found[name] = linear
    missing = [name for name in names if name not in found]
    if missing or not found:
        some = ", ".join(missing[:3]) or "no names given"
        raise AdapterError(
            f"{len(missing)} of {len(names)} layers to adapt are not linear layers of this base: "
            f"{some}. Use the base (family and version) that the adapter was made for."
        )
    return found


def _check_shape(name: str, linear: nn.Linear, pair: LoraPair) -> None:
    given = (pair.up.shape[0], pair.down.shape[1])
    if given != (linear.out_features, linear.in_features) or pair.up.shape[1] != pair.down.shape[0]:
        raise AdapterError(
            f"Layer {name} is {linear.out_features}x{linear.in_features}; the adapter's is "
            f"{given[0]}x{given[1]}. Use the base that the adapter was made for."
        )


@contextmanager
def _merged(linear: nn.Linear, pair: LoraPair, strength: float) -> Iterator[None]:
    original = linear.weight
    with torch.no_grad():
        down, up = (matrix.to(original.device, torch.float32) for matrix in pair)
        merged = (original.float() + strength * (up @ down)).to(original.dtype)
    linear.weight = nn.Parameter(merged, requires_grad=False)
    try:
        yield
    finally:
        linear.weight = original
