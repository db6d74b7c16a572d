"""Training LoRAs: injected through peft, switched on and off, exported, taken out.

In: a network and the full names of linear layers in it. Out: parameters to train and, from them, a
`LoraAdapter`. Papers: LoRA (Hu et al. 2021, Eq. 3); MotionDirector (ECCV 2024, Sec. 3), whose
initial values are followed here (showlab/MotionDirector 0146a50, utils/lora.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeGuard, cast

import torch
from torch import nn

from ...backbones.base import Backbone, Family
from ...errors import AdapterError
from ...settings import require
from ..base import Scope
from .adapter import LoraAdapter, find_linears
from .keys import LoraPair

if TYPE_CHECKING:
    from peft.tuners.lora import Linear as LoraLinear


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
    def parameters(self) -> list[nn.Parameter]:
        """A (r, in) and B (out, r) of each layer, in the order of the names given, float32."""
        return [weight for layer in self.layers.values() for weight in _weights(layer, self.name)]

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within the context it takes part in the forward pass, beside others that do.

        Backward belongs inside too: a checkpointed block is recomputed there. Which parameters
        require gradients is not changed.
        """
        before = [_state(layer) for layer in self.layers.values()]
        try:
            for state in before:
                _activate(state.layer, [*state.active, _key(self.name)])
            yield
        finally:
            for state in before:
                state.restore()

    def export(self) -> LoraAdapter:
        """What has been trained so far, as copies on the CPU."""
        pairs = {}
        for path, layer in self.layers.items():
            down, up = (
                w.detach().to("cpu", torch.float32, copy=True) for w in _weights(layer, self.name)
            )
            pairs[path] = LoraPair(down, up * layer.scaling[_key(self.name)])
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
    Deviation: it acts on A's input, as in the LoRA paper's code and peft; MotionDirector's code
    drops B's output.

    On exit, also after an exception, the original layers and their requires_grad are back.
    Raises AdapterError for an unknown layer or a name in use, SettingsError for a value out of
    range.
    """
    require(rank >= 1, "rank", rank, "at least 1")
    require(alpha > 0, "alpha", alpha, "more than 0")
    require(0 <= dropout < 1, "dropout", dropout, "at least 0 and less than 1")
    find_linears(network, linears)
    if any(_key(name) in layer.lora_A for layer in _lora_layers(network)):
        raise AdapterError(f"A LoRA named {name!r} is already in this model. Choose another name.")
    flags = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    others = [_state(layer) for layer in _lora_layers(network)]
    try:
        _inject(network, _key(name), linears, rank, alpha, dropout)
        for state in others:  # peft has switched them all off
            state.restore()
        active = {state.layer: state.active for state in others}
        layers = {path: _lora_layer(network, path) for path in linears}
        for layer in layers.values():
            _initialise(layer, _key(name), rng)
            _activate(layer, active.get(layer, []))
        yield TrainableLora(name=name, scope=scope, family=family, layers=layers)
    finally:
        for path in linears:
            _remove(network, path, _key(name))
        for state in others:
            state.restore()
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def _key(name: str) -> str:
    """A module's name cannot hold a dot: "spatial.0" lives in the model as "spatial/0"."""
    return name.replace(".", "/")


def _lora_layers(network: nn.Module) -> list[LoraLinear]:
    return [module for module in network.modules() if _is_lora(module)]


def _is_lora(module: nn.Module) -> TypeGuard[LoraLinear]:
    from peft.tuners.lora import Linear  # heavy

    return isinstance(module, Linear)


def _lora_layer(network: nn.Module, path: str) -> LoraLinear:
    layer = network.get_submodule(path)
    assert _is_lora(layer), path
    return layer


def _weights(layer: LoraLinear, name: str) -> tuple[nn.Parameter, nn.Parameter]:
    down, up = layer.lora_A[_key(name)].weight, layer.lora_B[_key(name)].weight
    assert isinstance(down, nn.Parameter) and isinstance(up, nn.Parameter)
    return down, up


def _inject(
    network: nn.Module, key: str, linears: Sequence[str], rank: int, alpha: float, dropout: float
) -> None:
    """Injects empty weights, on the meta device: the global generator is not drawn from."""
    from peft import LoraConfig, inject_adapter_in_model  # heavy

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # any number will do: scale = alpha / r
        lora_dropout=dropout,
        # A pattern is matched against the whole name; a list would also match as suffixes.
        target_modules="|".join(re.escape(path) for path in linears),
    )
    inject_adapter_in_model(config, network, key, low_cpu_mem_usage=True)
    # peft leaves its configurations here; it would warn at the next set, and diffusers read them.
    del network.peft_config


def _initialise(layer: LoraLinear, key: str, rng: torch.Generator) -> None:
    base = layer.get_base_layer()
    assert isinstance(base, nn.Linear)
    rank, device = layer.r[key], base.weight.device
    down = torch.empty(rank, base.in_features, device=rng.device)
    down.normal_(std=1 / rank, generator=rng)
    layer.lora_A[key].weight = nn.Parameter(down.to(device))
    layer.lora_B[key].weight = nn.Parameter(torch.zeros(base.out_features, rank, device=device))


class _State(NamedTuple):
    """Which of a layer's sets are active, and which of its LoRA weights require gradients."""

    layer: LoraLinear
    active: list[str]
    flags: list[tuple[nn.Parameter, bool]]

    def restore(self) -> None:
        self.layer.set_adapter(self.active)
        for weight, flag in self.flags:
            weight.requires_grad_(flag)


def _state(layer: LoraLinear) -> _State:
    modules = (*layer.lora_A.values(), *layer.lora_B.values())
    flags = [(weight, weight.requires_grad) for module in modules for weight in module.parameters()]
    return _State(layer, list(layer.active_adapters), flags)


def _activate(layer: LoraLinear, keys: list[str]) -> None:
    """`set_adapter`, which by itself would freeze the sets that it switches off."""
    _state(layer)._replace(active=keys).restore()


def _remove(network: nn.Module, path: str, key: str) -> None:
    layer = network.get_submodule(path)
    if not _is_lora(layer) or key not in layer.lora_A:
        return
    if len(layer.lora_A) > 1:
        # Switched off first: peft would choose another set to switch on in its place, and warn.
        layer.set_adapter([other for other in layer.lora_A if other != key])
        layer.delete_adapter(key)
        return
    parent, _, child = path.rpartition(".")
    setattr(network.get_submodule(parent), child, layer.get_base_layer())
