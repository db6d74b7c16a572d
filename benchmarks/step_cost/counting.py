"""What a computation costs, operation by operation, without computing it.

In: code that runs on torch's meta tensors, which have a shape and no numbers; they stand for those
of the GPU, and real CPU tensors for those of the host. Out: for each operation how often it was
launched, its FLOPs and the bytes that it reads and writes; the most bytes that were alive at once;
and where the host waits for the device.

An operation is one of ATen's that computes something: no view, no memory without contents. CUDA may
launch more than one kernel for it (a group norm has two), which is not counted, as little as what a
library takes for itself. Bytes are those of each tensor that goes in and out, once each, as if
nothing stayed in a cache between operations; an expanded tensor counts as what it was expanded
from. FLOPs are torch's own count (`torch.utils.flop_counter`), of products and convolutions alone.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from .device import COPY, DEVICE, ITEM, TO, goes_to_host, on_device, tensors_in

aten = torch.ops.aten
# They reach the host before their result can be shaped.
_WAITS = (
    aten.nonzero.default,
    aten.masked_select.default,
    aten._unique2.default,
    aten.equal.default,
)
# Memory without contents, and views that their schema does not call so.
_NOTHING = (
    aten.empty.memory_format,
    aten.empty_like.default,
    aten.empty_strided.default,
    aten.new_empty.default,
    aten.new_empty_strided.default,
    aten._unsafe_view.default,
)
_OVERWRITES = (COPY, aten.fill_.Scalar, aten.fill_.Tensor, aten.zero_.default)
_FLOPS: Mapping[Any, Callable[..., int]] = {**flop_registry, aten.addmm_: flop_registry[aten.addmm]}


@dataclass
class Cost:
    """Of one operation, or of all. moved: bytes in and out."""

    launches: int = 0
    flops: int = 0
    moved: int = 0

    def add(self, other: Cost) -> None:
        self.launches += other.launches
        self.flops += other.flops
        self.moved += other.moved


@dataclass
class Waits:
    """Where the host waits for the device. reads: values and tensors that come from it. writes:
    tensors that are copied to it from pageable memory, as `.to(device)` does.
    """

    reads: int = 0
    writes: int = 0


@dataclass
class Counted:
    """operations: by name. peak: the most bytes alive at once, of tensors made meanwhile."""

    operations: dict[str, Cost] = field(default_factory=dict)
    waits: Waits = field(default_factory=Waits)
    peak: int = 0

    @property
    def total(self) -> Cost:
        total = Cost()
        for cost in self.operations.values():
            total.add(cost)
        return total


class Peak(TorchDispatchMode):
    """most: the most bytes of tensors alive at once, of those made within the context."""

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()
        self._alive = {tensor.untyped_storage()._cdata: 0 for tensor in known}
        self._now = self.most = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        self.keep(made)
        return made

    def keep(self, made: Any) -> None:
        """Counts the tensors in `made` that are new."""
        for tensor in tensors_in(made):
            self._count(tensor.untyped_storage())

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._alive:
            self._alive[key] = size = storage.nbytes()
            self._now += size
            self.most = max(self.most, self._now)
            weakref.finalize(storage, self._freed, key)

    def _freed(self, key: int) -> None:
        self._now -= self._alive.pop(key)


class Counter(TorchDispatchMode):
    """Counts what runs on meta tensors within the context; see the module. known: tensors that are
    there before, which are not counted in `counted.peak`.
    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()
        self.counted = Counted()
        self._peak = Peak(known)

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        self._count_waits(func, args, kwargs)
        made = func(*args, **kwargs)
        outputs = [tensor for tensor in tensors_in(made) if tensor.device == DEVICE]
        if outputs or on_device((args, kwargs)):
            self._count(func, args, kwargs, made)
            if not (_kind(func).is_view or _kind(func).written):
                self._peak.keep(outputs)
                self.counted.peak = self._peak.most
        return made

    def _count_waits(self, func: Any, args: Any, kwargs: Any) -> None:
        waits = self.counted.waits
        if func is ITEM or func in _WAITS:
            waits.reads += on_device(args)
        elif goes_to_host(func, args, kwargs):
            waits.reads += 1
        elif func in (TO, COPY):
            source = args[1] if func is COPY else args[0]
            target = args[0].device if func is COPY else kwargs.get("device")
            blocking = not kwargs.get("non_blocking")
            waits.writes += source.device.type == "cpu" and target == DEVICE and blocking

    def _count(self, func: Any, args: Any, kwargs: Any, made: Any) -> None:
        kind = _kind(func)
        outputs = tensors_in([_given(written, args, kwargs) for written in kind.written])
        outputs += tensors_in(made)
        if not outputs or kind.is_view or func in _NOTHING:
            return
        inputs = tensors_in((args[1:] if kind.overwrites else args, kwargs))
        cost = self.counted.operations.setdefault(kind.name, Cost())
        cost.launches += 1
        cost.moved += _bytes_of(inputs) + _bytes_of(outputs)
        if kind.flops is not None:
            cost.flops += kind.flops(*args, **kwargs, out_val=made)


class _Kind(NamedTuple):
    """What is known of an operation. written: the arguments, by place and name, that it changes."""

    name: str
    written: Sequence[tuple[int, str]]
    is_view: bool
    overwrites: bool
    flops: Callable[..., int] | None


@cache
def _kind(func: Any) -> _Kind:
    schema, packet = func._schema, func._overloadpacket
    infos = [returned.alias_info for returned in schema.returns]
    return _Kind(
        name=packet.__name__,
        written=[
            (place, argument.name)
            for place, argument in enumerate(schema.arguments)
            if argument.alias_info is not None and argument.alias_info.is_write
        ],
        is_view=any(info is not None and not info.is_write for info in infos),
        overwrites=func in _OVERWRITES,
        flops=_FLOPS.get(packet),
    )


def _given(argument: tuple[int, str], args: Any, kwargs: Any) -> Any:
    place, name = argument
    return args[place] if place < len(args) else kwargs.get(name)


def _bytes_of(tensors: Iterable[Tensor]) -> int:
    """Of each once."""
    return sum(map(_bytes, {id(tensor): tensor for tensor in tensors}.values()))


def _bytes(tensor: Tensor) -> int:
    cells = tensor.numel()
    if 0 in tensor.stride():
        sizes = zip(tensor.shape, tensor.stride(), strict=True)
        cells = math.prod(size if stride else min(size, 1) for size, stride in sizes)
    return cells * tensor.itemsize
