"""Low-rank adapters on linear layers: trained through peft, kept as matrices, applied by merging.

In: a UNet and the full names of linear layers in it. Out: a `LoraAdapter`, which makes
W = W0 + strength · up @ down. Papers: LoRA (Hu et al. 2021, Eq. 3); MotionDirector (ECCV 2024,
Sec. 3), whose initial values are followed here (showlab/MotionDirector 0146a50, utils/lora.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from ..backbones.base import Backbone, Family
from ..errors import AdapterError
from ..settings import require
from .base import Scope
from .lora_keys import LoraPair, from_file_keys, to_file_keys


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

    @classmethod
    def from_state_dict(
        cls, tensors: Mapping[str, Tensor], *, scope: Scope, family: Family
    ) -> LoraAdapter:
        """The inverse of `state_dict`; raises FormatError for other names or shapes."""
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
        linears = find_linears(backbone.unet, list(self.pairs))
        for name, linear in linears.items():
            _check_shape(name, linear, self.pairs[name])
        with ExitStack() as stack:
            for name, linear in linears.items():
                stack.enter_context(_merged(linear, self.pairs[name], strength))
            yield


def find_linears(unet: nn.Module, names: Sequence[str]) -> dict[str, nn.Linear]:
    """The linear layers of these full names, below any LoRA that is injected there.

    Raises AdapterError if one is missing or is no linear layer, or if no name is given.
    """
    modules = dict(unet.named_modules())
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


@dataclass(frozen=True, kw_only=True)
class TrainableLora:
    """A LoRA that lives in a model.

    parameters: A (r, in) and B (out, r) of each layer, in the order of the names given, float32.
    """

    name: str
    layers: Mapping[str, LoraLinear]

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [weight for layer in self.layers.values() for weight in _weights(layer, self.name)]

    def export(self, scope: Scope, family: Family) -> LoraAdapter:
        """What has been learned so far, as copies on the CPU."""
        pairs = {}
        for path, layer in self.layers.items():
            down, up = (
                w.detach().to("cpu", torch.float32, copy=True) for w in _weights(layer, self.name)
            )
            pairs[path] = LoraPair(down, up * layer.scaling[_key(self.name)])
        return LoraAdapter(scope=scope, family=family, pairs=pairs)


@contextmanager
def trainable_lora(
    unet: nn.Module,
    name: str,
    linears: Sequence[str],
    *,
    rank: int,
    alpha: float,
    dropout: float,
    rng: torch.Generator,
) -> Iterator[TrainableLora]:
    """Injects a fresh LoRA of rank `rank` and scale alpha / rank into these layers, and makes it
    active.

    Sets of other names may be in the model at the same time, also on the same layers; the base
    weights are frozen meanwhile. B = 0, so nothing changes before the first step, and A is drawn
    from `rng` with standard deviation 1/r: the paper writes N(0, 1/r), and the official code has
    `normal_(std=1 / r)`.

    Dropout acts from the start, also in a UNet in eval mode, until the UNet's `eval()` is called
    (sampling does so for its while). It draws from torch's global generator, because that is the
    one which checkpointing restores when a block is recomputed: the caller seeds or keeps it.
    Deviation: it acts on A's input, as in the LoRA paper's code and peft; MotionDirector's code
    drops B's output.

    On exit, also after an exception, the original layers and their requires_grad are back.
    Raises AdapterError for an unknown layer or a name in use, SettingsError for a value out of
    range.
    """
    require(rank >= 1, "rank", rank, "at least 1")
    require(alpha > 0, "alpha", alpha, "more than 0")
    require(0 <= dropout < 1, "dropout", dropout, "at least 0 and less than 1")
    find_linears(unet, linears)
    if any(_key(name) in layer.lora_A for layer in _lora_layers(unet)):
        raise AdapterError(f"A LoRA named {name!r} is already in this model. Choose another name.")
    flags = [(parameter, parameter.requires_grad) for parameter in unet.parameters()]
    active = [(layer, list(layer.active_adapters)) for layer in _lora_layers(unet)]
    try:
        _inject(unet, _key(name), linears, rank, alpha, dropout)
        _restore(active)  # peft has switched every other set off
        layers = {path: _lora_layer(unet, path) for path in linears}
        before = dict(active)
        for layer in layers.values():
            _initialise(layer, _key(name), rng)
            _activate(layer, [*before.get(layer, []), _key(name)])
        yield TrainableLora(name=name, layers=layers)
    finally:
        for path in linears:
            _remove(unet, path, _key(name))
        _restore(active)
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


@contextmanager
def active_loras(unet: nn.Module, names: Sequence[str]) -> Iterator[None]:
    """Only these injected LoRAs take part in the forward pass; with none, the output is the base's,
    bit for bit.

    Backward belongs inside the context too: a checkpointed block is recomputed there. Which
    parameters require gradients is not changed. Raises AdapterError for a name that is not in the
    model.
    """
    layers = _lora_layers(unet)
    present = {key for layer in layers for key in layer.lora_A}
    for name in names:
        if _key(name) not in present:
            known = ", ".join(sorted(present)) or "none"
            raise AdapterError(f"No LoRA named {name!r} is in this model; injected: {known}.")
    before = [(layer, list(layer.active_adapters)) for layer in layers]
    try:
        for layer in layers:
            _activate(layer, [_key(name) for name in names if _key(name) in layer.lora_A])
        yield
    finally:
        _restore(before)


def _key(name: str) -> str:
    """A module's name cannot hold a dot: "spatial.0" lives in the model as "spatial/0"."""
    return name.replace(".", "/")


def _lora_layers(unet: nn.Module) -> list[LoraLinear]:
    return [module for module in unet.modules() if isinstance(module, LoraLinear)]


def _lora_layer(unet: nn.Module, path: str) -> LoraLinear:
    layer = unet.get_submodule(path)
    assert isinstance(layer, LoraLinear), path
    return layer


def _weights(layer: LoraLinear, name: str) -> tuple[nn.Parameter, nn.Parameter]:
    down, up = layer.lora_A[_key(name)].weight, layer.lora_B[_key(name)].weight
    assert isinstance(down, nn.Parameter) and isinstance(up, nn.Parameter)
    return down, up


def _inject(
    unet: nn.Module, key: str, linears: Sequence[str], rank: int, alpha: float, dropout: float
) -> None:
    """Injects empty weights, on the meta device: the global generator is not drawn from."""
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # any number will do: scale = alpha / r
        lora_dropout=dropout,
        # A pattern is matched against the whole name; a list would also match as suffixes.
        target_modules="|".join(re.escape(path) for path in linears),
    )
    inject_adapter_in_model(config, unet, key, low_cpu_mem_usage=True)
    # peft leaves its configurations here; it would warn at the next set, and diffusers read them.
    del unet.peft_config


def _initialise(layer: LoraLinear, key: str, rng: torch.Generator) -> None:
    base = layer.get_base_layer()
    assert isinstance(base, nn.Linear)
    rank, device = layer.r[key], base.weight.device
    down = torch.empty(rank, base.in_features, device=rng.device)
    down.normal_(std=1 / rank, generator=rng)
    layer.lora_A[key].weight = nn.Parameter(down.to(device))
    layer.lora_B[key].weight = nn.Parameter(torch.zeros(base.out_features, rank, device=device))


def _activate(layer: LoraLinear, keys: list[str]) -> None:
    layer.set_adapter(keys)
    # set_adapter freezes the sets that it switches off; here requires_grad must stay on.
    for weights in (*layer.lora_A.values(), *layer.lora_B.values()):
        weights.requires_grad_(True)


def _restore(active: Sequence[tuple[LoraLinear, list[str]]]) -> None:
    for layer, keys in active:
        _activate(layer, keys)


def _remove(unet: nn.Module, path: str, key: str) -> None:
    layer = unet.get_submodule(path)
    if not isinstance(layer, LoraLinear) or key not in layer.lora_A:
        return
    if len(layer.lora_A) > 1:
        # Switched off first: peft would choose another set to switch on in its place, and warn.
        layer.set_adapter([other for other in layer.lora_A if other != key])
        layer.delete_adapter(key)
        return
    parent, _, child = path.rpartition(".")
    setattr(unet.get_submodule(parent), child, layer.get_base_layer())
