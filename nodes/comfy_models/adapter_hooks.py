"""Adapters on a network that ComfyUI holds: their share is added to what the layers give.

In: a network whose modules have diffusers' names, and (adapter, strength) pairs. Out: the network
with forward hooks, and without them again. A LoRA adds s·B(Ax), a change of whole weights s·ΔW x,
in the dtype and on the device of x: where the layer's own weights are meanwhile (main memory, fp8,
patched by other LoRAs) does not matter, and they are never written to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ...motion_core.adapters.base import Adapter
from ...motion_core.adapters.embedding.adapter import EmbeddingAdapter
from ...motion_core.adapters.embedding.hooks import shifted_attention
from ...motion_core.adapters.injector import InjectorAdapter, injected, injector_sites
from ...motion_core.adapters.lora.adapter import LoraAdapter
from ...motion_core.adapters.lora.keys import LoraPair
from ...motion_core.adapters.weights.adapter import WeightsAdapter
from ...motion_core.errors import AdapterError

Adapters = Sequence[tuple[Adapter, float]]

_On = Callable[[], AbstractContextManager[Any]]
_Change = Callable[[nn.Module, Tensor], Tensor]


class AdapterHooks:
    """Adapters made ready for one network, to be switched on and off many times.

    Their tensors stay on the device on which they were last used, until `release`. Those of
    strength 0, and those that change something else than layers (prompts), are left out: without
    any, `on` changes nothing.
    """

    def __init__(
        self, root: nn.Module, adapters: Adapters, own_name: Callable[[str], str] | None = None
    ) -> None:
        """root: its layers are found by the names that adapters use, or by what `own_name` makes of
        them.

        Raises AdapterError if a layer is missing or of another size, before anything is touched.
        """
        self._root = root
        self._own_name = own_name
        self._on: list[_On] = []
        self._releases: list[Callable[[], None]] = []
        for adapter, strength in adapters:
            if strength != 0.0:
                self._prepare(adapter, strength)

    @contextmanager
    def on(self) -> Iterator[None]:
        """The adapters take part in what the network computes meanwhile."""
        with ExitStack() as stack:
            for on in self._on:
                stack.enter_context(on())
            yield

    def release(self) -> None:
        """Gives the accelerator's memory back."""
        for release in self._releases:
            release()

    def __bool__(self) -> bool:
        return bool(self._on)

    def _prepare(self, adapter: Adapter, strength: float) -> None:
        if isinstance(adapter, LoraAdapter):
            for name, pair in adapter.pairs.items():
                self._add_change(name, _lora(self._layer(name), name, pair, strength))
        elif isinstance(adapter, WeightsAdapter):
            for name, deltas in _by_layer(adapter.deltas).items():
                self._add_change(name, _whole(self._layer(name), name, deltas, strength))
        elif isinstance(adapter, EmbeddingAdapter):
            adapter.check_widths(self._root)
            shifts = KeptShifts(adapter, strength)
            self._releases.append(shifts.release)
            self._on.append(partial(shifts.on, self._root))
        elif isinstance(adapter, InjectorAdapter) and adapter.image_embeds is not None:
            weights = {name: strength * weight for name, weight in adapter.weights.items()}
            _check_sites(self._root, weights)
            image, injection = adapter.image_embeds, adapter.injection
            self._on.append(partial(injected, self._root, weights, image, injection))

    def _layer(self, name: str) -> nn.Module:
        try:
            return self._root.get_submodule(self._own_name(name) if self._own_name else name)
        except AttributeError as error:
            raise AdapterError(
                f"This MODEL has no layer {name}, which the adapter changes. Use a MODEL of the "
                "family and version that the adapter was trained on."
            ) from error

    def _add_change(self, name: str, change: _LayerChange) -> None:
        self._releases.append(change.release)
        self._on.append(partial(_hooked, self._layer(name), change))


@dataclass(kw_only=True)
class _LayerChange:
    """What is added to a layer's output: change(layer, x, *tensors)."""

    tensors: Sequence[Tensor | None]
    change: Callable[..., Tensor]
    kept: tuple[object, Sequence[Tensor | None]] | None = None

    def __call__(self, layer: nn.Module, x: Tensor) -> Tensor:
        place = (x.device, x.dtype)
        if self.kept is None or self.kept[0] != place:
            moved = [t if t is None else t.to(x.device, x.dtype) for t in self.tensors]
            self.kept = (place, moved)
        return self.change(layer, x, *self.kept[1])

    def release(self) -> None:
        self.kept = None


class KeptShifts:
    """A motion embedding at one strength; what it has interpolated is kept between calls."""

    def __init__(self, adapter: EmbeddingAdapter, strength: float) -> None:
        self._make = partial(adapter.shifts, strength)
        self.by_block = self._make()

    def release(self) -> None:
        self.by_block = self._make()

    def on(self, root: nn.Module) -> AbstractContextManager[None]:
        return shifted_attention(root, self.by_block)


@contextmanager
def _hooked(layer: nn.Module, change: _Change) -> Iterator[None]:
    def add(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> Tensor:
        return out + change(layer, args[0] if args else kwargs["input"])

    handle = layer.register_forward_hook(add, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _lora(layer: nn.Module, name: str, pair: LoraPair, strength: float) -> _LayerChange:
    given = (pair.up.shape[0], pair.down.shape[1])
    own = (getattr(layer, "out_features", None), getattr(layer, "in_features", None))
    _check_shape(name, own, given)
    return _LayerChange(tensors=(pair.down, strength * pair.up), change=_low_rank)


def _low_rank(layer: nn.Module, x: Tensor, down: Tensor, up: Tensor) -> Tensor:
    return F.linear(F.linear(x, down), up)


def _whole(
    layer: nn.Module, name: str, deltas: Mapping[str, Tensor], strength: float
) -> _LayerChange:
    change = next((c for kind, c in _CHANGES.items() if isinstance(layer, kind)), None)
    if change is None or not set(deltas) <= {"weight", "bias"}:
        raise AdapterError(
            f"The adapter changes {', '.join(deltas)} of {name}, a {type(layer).__name__}, which "
            "cannot be changed in a MODEL. Use a MODEL of the family that it was trained on."
        )
    for leaf, delta in deltas.items():
        own = getattr(layer, leaf, None)
        _check_shape(f"{name}.{leaf}", None if own is None else own.shape, delta.shape)
    weight = deltas["weight"] if "weight" in deltas else 0.0 * layer.weight.detach().float().cpu()
    bias = strength * deltas["bias"] if "bias" in deltas else None
    return _LayerChange(tensors=(strength * weight, bias), change=change)


def _linear(layer: nn.Module, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.linear(x, weight, bias)


def _conv(layer: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return layer._conv_forward(x, weight, bias)


def _group_norm(layer: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.group_norm(x, layer.num_groups, weight, bias, layer.eps)


def _layer_norm(layer: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.layer_norm(x, layer.normalized_shape, weight, bias, layer.eps)


# Each of these layers is linear in its weight and bias together, so that the change of its output
# is the layer with the change of these in their place.
_CHANGES: Mapping[type[nn.Module], Callable[..., Tensor]] = {
    nn.Linear: _linear,
    _ConvNd: _conv,
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _layer_norm,
}


def _by_layer(deltas: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The parameters' changes by layer, then by the parameter's own name."""
    layers: dict[str, dict[str, Tensor]] = {}
    for name, delta in deltas.items():
        path, _, leaf = name.rpartition(".")
        layers.setdefault(path, {})[leaf] = delta
    return layers


def _check_shape(name: str, own: Sequence[int | None] | None, given: Sequence[int]) -> None:
    if own is None or tuple(own) != tuple(given):
        has = "none" if own is None else "x".join(map(str, own))
        raise AdapterError(
            f"{name} is {has} in this MODEL; the adapter's is {'x'.join(map(str, given))}. Use a "
            "MODEL of the family and version that the adapter was trained on."
        )


def _check_sites(root: nn.Module, weights: Mapping[str, Tensor]) -> None:
    sites = injector_sites(root)
    for name, weight in weights.items():
        if sites.get(name) != weight.shape[0]:
            raise AdapterError(
                f"The injector has {name} of width {weight.shape[0]}; this MODEL has "
                f"{sites.get(name, 'no such temporal transformer')}. Use a MODEL of the family and "
                "version that the adapter was trained on."
            )
