"""Training LoRAs: put into a network, switched on and off, exported, taken out.

In: a network and the full names of linear layers in it. Out: parameters to train and, from them, a
`LoraAdapter`. Papers: LoRA (Hu et al. 2021, Eq. 3); MotionDirector (ECCV 2024, Sec. 3), whose
initial values are followed here (showlab/MotionDirector 0146a50, utils/lora.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from ...backbones.attention import attending
from ...backbones.base import Backbone, Family
from ...errors import AdapterError
from ...settings import require
from ..base import Scope
from .adapter import LoraAdapter, find_linears
from .casts import Casts
from .keys import LoraPair
from .layer import LoraLinear, LoraPart, together


@dataclass(frozen=True, kw_only=True)
class LoraPlan:
    """A LoRA to be trained on the linear layers of these full names, of scale alpha / rank."""

    scope: Scope
    linears: Sequence[str]
    rank: int
    alpha: float
    dropout: float = 0.0

    def count(self, network: nn.Module) -> int:
        """Numbers that it trains: r · (in + out) of each layer."""
        layers = (cast(nn.Linear, network.get_submodule(path)) for path in self.linears)
        return sum(self.rank * (layer.in_features + layer.out_features) for layer in layers)

    def made(
        self, name: str, backbone: Backbone, rng: torch.Generator
    ) -> AbstractContextManager[TrainableLora]:
        """See `trainable_lora`."""
        return trainable_lora(
            backbone.network,
            name,
            self.linears,
            scope=self.scope,
            family=backbone.family,
            rank=self.rank,
            alpha=self.alpha,
            dropout=self.dropout,
            rng=rng,
        )


@dataclass(frozen=True, kw_only=True)
class TrainableLora:
    """A LoRA that lives in a model, of which it changes nothing but while it is `active`."""

    name: str
    scope: Scope
    family: Family
    layers: Mapping[str, LoraLinear]

    @property
    def parts(self) -> dict[str, LoraPart]:
        """Its pair on each layer."""
        return {path: layer.part(_key(self.name)) for path, layer in self.layers.items()}

    @property
    def parameters(self) -> list[nn.Parameter]:
        """A (r, in) and B (out, r) of each layer, in the order of the names given, float32."""
        return [matrix for part in self.parts.values() for matrix in (part.down, part.up)]

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within the context it takes part in the forward pass, beside others that do.

        Backward belongs inside too: a checkpointed block is recomputed there. Which parameters
        require gradients is not changed.
        """
        key = _key(self.name)
        before = [(layer, layer.active) for layer in self.layers.values()]
        try:
            for layer, active in before:
                layer.active = (*active, key)
            yield
        finally:
            for layer, active in before:
                layer.active = active

    def export(self) -> LoraAdapter:
        """What has been trained so far, as copies on the CPU."""
        pairs = {}
        for path, part in self.parts.items():
            down, up = (
                w.detach().to("cpu", torch.float32, copy=True) for w in (part.down, part.up)
            )
            pairs[path] = LoraPair(down, up * part.scale)
        return LoraAdapter(scope=self.scope, family=self.family, pairs=pairs)


@contextmanager
def trainable_lora(
    network: nn.Module,
    name: str,
    linears: Sequence[str],
    *,
    scope: Scope,
    family: Family,
    rank: int,
    alpha: float,
    dropout: float,
    rng: torch.Generator,
) -> Iterator[TrainableLora]:
    """Injects a fresh LoRA of rank `rank` and scale alpha / rank into these layers, switched off.

    LoRAs of other names may be in the model at the same time, also on the same layers; the base
    weights are frozen meanwhile. B = 0, so nothing changes before the first step, and A is drawn
    from `rng` with standard deviation 1/r, not variance (the official code: `normal_(std=1 / r)`).

    Dropout acts from the start, also in a network in eval mode, until the network's `eval()` is
    called (sampling does so for its while). It draws from torch's global generator, because that is
    the one which checkpointing restores when a block is recomputed: the caller seeds or keeps it.
    Deviation: it acts on A's outputs, which are narrow; the LoRA paper's code and peft drop its
    inputs, and MotionDirector's code drops B's outputs.

    On exit, also after an exception, the original layers and their requires_grad are back.
    Raises AdapterError for an unknown layer or a name in use, SettingsError for a value out of
    range.
    """
    require(rank >= 1, "rank", rank, "at least 1")
    require(alpha > 0, "alpha", alpha, "more than 0")
    require(0 <= dropout < 1, "dropout", dropout, "at least 0 and less than 1")
    find_linears(network, linears)
    key = _key(name)
    if any(key in layer.parts for layer in _lora_layers(network)):
        raise AdapterError(f"A LoRA named {name!r} is already in this model. Choose another name.")
    frozen = [(weight, weight.requires_grad) for weight in _base_weights(network)]
    try:
        for weight, _ in frozen:
            weight.requires_grad_(False)
        layers = {path: _lora_layer(network, path) for path in linears}
        for layer in layers.values():
            layer.parts[key] = LoraPart(
                *_initial(layer.base_layer, rank, rng), scale=alpha / rank, dropout=dropout
            )
        _cast_together([layer.part(key) for layer in layers.values()])
        with attending(_attention_of(network, linears), project=together):
            yield TrainableLora(name=name, scope=scope, family=family, layers=layers)
    finally:
        for path in linears:
            _remove(network, path, key)
        for weight, flag in frozen:
            weight.requires_grad_(flag)


def _key(name: str) -> str:
    """A module's name cannot hold a dot: "spatial.0" lives in the model as "spatial/0"."""
    return name.replace(".", "/")


def _lora_layers(network: nn.Module) -> list[LoraLinear]:
    return [module for module in network.modules() if isinstance(module, LoraLinear)]


def _base_weights(network: nn.Module) -> list[nn.Parameter]:
    """All parameters but those of LoRAs."""
    parts = [part for layer in _lora_layers(network) for part in layer.parts.values()]
    ours = {id(matrix) for part in parts for matrix in part.parameters()}
    return [weight for weight in network.parameters() if id(weight) not in ours]


def _lora_layer(network: nn.Module, path: str) -> LoraLinear:
    """The layer that holds the LoRAs of this path, put there if it is not there yet."""
    layer = network.get_submodule(path)
    if not isinstance(layer, LoraLinear):
        layer = LoraLinear(cast(nn.Linear, layer))
        _put(network, path, layer)
    return layer


def _attention_of(network: nn.Module, linears: Sequence[str]) -> list[nn.Module]:
    """What these layers project for: the parts that hold them, once each."""
    return [
        network.get_submodule(name)
        for name in dict.fromkeys(path.rpartition(".")[0] for path in linears)
    ]


def _cast_together(parts: Sequence[LoraPart]) -> None:
    """One operation casts all of them, and A's of an attention's layers are one matrix."""
    casts = Casts([*(part.down for part in parts), *(part.up for part in parts)])
    for part in parts:
        part.casts = casts


def _initial(base: nn.Linear, rank: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    device = base.weight.device
    down = torch.empty(rank, base.in_features, device=rng.device)
    down.normal_(std=1 / rank, generator=rng)
    return down.to(device), torch.zeros(base.out_features, rank, device=device)


def _remove(network: nn.Module, path: str, key: str) -> None:
    layer = network.get_submodule(path)
    if not isinstance(layer, LoraLinear) or key not in layer.parts:
        return
    del layer.parts[key]
    layer.active = tuple(other for other in layer.active if other != key)
    if not layer.parts:
        _put(network, path, layer.base_layer)


def _put(network: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, child = path.rpartition(".")
    setattr(network.get_submodule(parent), child, module)
