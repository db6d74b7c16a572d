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
from typing import Any, NamedTuple, TypeVar, cast

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ...motion_core.adapters.base import Adapter, check_shape
from ...motion_core.adapters.embedding.hooks import shifted_attention
from ...motion_core.errors import AdapterError

Adapters = Sequence[tuple[Adapter, float]]
Applier = TypeVar("Applier")


def of_kind(appliers: Mapping[str, Applier], adapter: Adapter) -> Applier:
    """What applies an adapter, by its kind; raises AdapterError for a kind that nothing applies."""
    if adapter.kind not in appliers:
        raise AdapterError(
            f"An adapter of kind {adapter.kind!r} cannot be applied to a MODEL; known kinds: "
            f"{', '.join(appliers)}. Sample it with Sample Motion Video."
        )
    return appliers[adapter.kind]


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

        Raises AdapterError if a layer is missing or of another size, or a kind of adapter is
        unknown, before anything is touched.
        """
        network = _Network(root, own_name)
        self._parts = [
            part
            for adapter, strength in adapters
            if strength != 0.0
            for part in of_kind(_PARTS, adapter)(network, adapter, strength)
        ]

    @contextmanager
    def on(self) -> Iterator[None]:
        """The adapters take part in what the network computes meanwhile."""
        with ExitStack() as stack:
            for part in self._parts:
                stack.enter_context(part.on())
            yield

    def release(self) -> None:
        """Gives the accelerator's memory back."""
        for part in self._parts:
            part.release()

    def __bool__(self) -> bool:
        return bool(self._parts)


class _Network(NamedTuple):
    """Where layers are found by the names that adapters use."""

    root: nn.Module
    own_name: Callable[[str], str] | None

    def layer(self, name: str) -> nn.Module:
        try:
            return self.root.get_submodule(self.own_name(name) if self.own_name else name)
        except AttributeError as error:
            raise AdapterError(
                f"This MODEL has no layer {name}, which the adapter changes. Use a MODEL of the "
                "same family and version as the adapter's base."
            ) from error


class _Part(NamedTuple):
    """What an adapter does at one place: switched on for a while; `release` frees its memory."""

    on: Callable[[], AbstractContextManager[Any]]
    release: Callable[[], None] = lambda: None


@dataclass(kw_only=True)
class _LayerChange:
    """What is added to a layer's output: change(layer, x, *tensors)."""

    layer: nn.Module
    tensors: Sequence[Tensor | None]
    change: Callable[..., Tensor]
    kept: tuple[object, Sequence[Tensor | None]] | None = None

    @property
    def part(self) -> _Part:
        return _Part(self.on, self.release)

    @contextmanager
    def on(self) -> Iterator[None]:
        handle = self.layer.register_forward_hook(self.add, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    def add(
        self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor
    ) -> Tensor:
        x = args[0] if args else kwargs["input"]
        place = (x.device, x.dtype)
        if self.kept is None or self.kept[0] != place:
            moved = [t if t is None else t.to(x.device, x.dtype) for t in self.tensors]
            self.kept = (place, moved)
        return out + self.change(layer, x, *self.kept[1])

    def release(self) -> None:
        self.kept = None


class KeptShifts:
    """A motion embedding at one strength; what it has interpolated is kept between calls."""

    def __init__(self, adapter: Any, strength: float) -> None:
        """adapter: of kind "embedding"."""
        self._make = partial(adapter.shifts, strength)
        self.by_block = self._make()

    def release(self) -> None:
        self.by_block = self._make()

    def on(self, root: nn.Module) -> AbstractContextManager[None]:
        return shifted_attention(root, self.by_block)


def _lora(network: _Network, adapter: Any, strength: float) -> Iterator[_Part]:
    for name, (down, up) in adapter.pairs.items():
        layer = network.layer(name)
        own = (getattr(layer, "out_features", None), getattr(layer, "in_features", None))
        check_shape(name, own, (up.shape[0], down.shape[1]))
        yield _LayerChange(layer=layer, tensors=(down, strength * up), change=_low_rank).part


def _weights(network: _Network, adapter: Any, strength: float) -> Iterator[_Part]:
    for name, deltas in _by_layer(adapter.deltas).items():
        yield _whole(network.layer(name), name, deltas, strength).part


def _embedding(network: _Network, adapter: Any, strength: float) -> Iterator[_Part]:
    adapter.check_widths(network.root)
    shifts = KeptShifts(adapter, strength)
    yield _Part(partial(shifts.on, network.root), shifts.release)


def _injector(network: _Network, adapter: Any, strength: float) -> Iterator[_Part]:
    if adapter.image_embeds is not None:
        adapter.check_sites(network.root)
        yield _Part(partial(adapter.scaled(strength).on, network.root))


def _verb(network: _Network, adapter: Any, strength: float) -> Iterator[_Part]:
    """Nothing here: `verb_prompts` sees to prompts."""
    yield from ()


# By kind, each for an adapter of that kind. Any: the classes are the core's own affair.
_PARTS: Mapping[str, Callable[[_Network, Any, float], Iterator[_Part]]] = {
    "lora": _lora,
    "weights": _weights,
    "embedding": _embedding,
    "injector": _injector,
    "verb": _verb,
}


def _low_rank(layer: nn.Module, x: Tensor, down: Tensor, up: Tensor) -> Tensor:
    return F.linear(F.linear(x, down), up)


def _whole(
    layer: nn.Module, name: str, deltas: Mapping[str, Tensor], strength: float
) -> _LayerChange:
    change = next((c for kind, c in _CHANGES.items() if isinstance(layer, kind)), None)
    if change is None or not set(deltas) <= {"weight", "bias"}:
        raise AdapterError(
            f"The adapter changes {', '.join(deltas)} of {name}, a {type(layer).__name__}, which "
            "cannot be changed in a MODEL. Use a MODEL of the same family as the adapter's base."
        )
    for leaf, delta in deltas.items():
        own = getattr(layer, leaf, None)
        check_shape(f"{name}.{leaf}", None if own is None else own.shape, delta.shape)
    own = cast(Tensor, layer.weight)
    weight = deltas["weight"] if "weight" in deltas else 0.0 * own.detach().float().cpu()
    bias = strength * deltas["bias"] if "bias" in deltas else None
    return _LayerChange(layer=layer, tensors=(strength * weight, bias), change=change)


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
