"""What is dear to compute and cheap to keep, in layers that are computed again: outputs of
convolutions and of attention.

In: functions that compute one such output, called within a checkpointed layer. Out: the first time
what they give is kept; the second time it is taken from there, and gradients go through it as if it
had been computed again. Without a layer that keeps, they are just called.

The operation itself is looked up below autograd, by a mode around this one call: one around the
whole layer, as torch's selective checkpointing has it, would see each of its hundreds of
operations, which takes Python longer than a GPU takes for them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
LEAST = 1100
"""Operations for a number of the output, from which on it is kept: a 3x3 convolution of 320
channels has 5760, one of 1x1 has 640, attention to 1024 places 4096, to 16 frames 64.
"""


def _of_convolution(tensor: Tensor, weight: Tensor, *rest: Any) -> int:
    return 2 * weight[0].numel()


def _of_attention(query: Tensor, key: Tensor, *rest: Any) -> int:
    return 4 * key.shape[-2]


_OPERATIONS = {
    aten.convolution: _of_convolution,
    aten._scaled_dot_product_flash_attention: _of_attention,
    aten._scaled_dot_product_efficient_attention: _of_attention,
    aten._scaled_dot_product_cudnn_attention: _of_attention,
    aten._scaled_dot_product_flash_attention_for_cpu: _of_attention,
}
_now = threading.local()


class Outputs:
    """Of one call of a layer, in the order in which they were computed."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """For the layer's first time, and for each later one; see `torch.utils.checkpoint`."""
        return _During(lambda: _Keeping(self.kept)), _During(lambda: _Taking(iter(self.kept)))


class _During:
    """Calls of `kept` are seen by a new mode, each time that the context is entered."""

    def __init__(self, make_mode: Callable[[], TorchDispatchMode]) -> None:
        self.make_mode = make_mode

    def __enter__(self) -> None:
        self.before, _now.mode = getattr(_now, "mode", None), self.make_mode()

    def __exit__(self, *error: object) -> None:
        _now.mode = self.before


def kept(compute: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """What `compute` gives."""
    mode = getattr(_now, "mode", None)
    if mode is None:
        return compute(*args, **kwargs)
    with mode:
        return compute(*args, **kwargs)


class _Keeping(TorchDispatchMode):
    def __init__(self, outputs: list[Any]) -> None:
        super().__init__()
        self.outputs = outputs

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if _is_dear(func, args):
            self.outputs.append(_detached(found))
        return found


class _Taking(TorchDispatchMode):
    def __init__(self, outputs: Iterator[Any]) -> None:
        super().__init__()
        self.outputs = outputs

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if _is_dear(func, args):
            return _detached(next(self.outputs))
        return func(*args, **(kwargs or {}))


def _is_dear(func: Any, args: Any) -> bool:
    operations = _OPERATIONS.get(func.overloadpacket)
    return operations is not None and operations(*args) >= LEAST


def _detached(found: Any) -> Any:
    """The same numbers, as tensors of their own."""
    if isinstance(found, Tensor):
        return found.detach()
    return tuple(_detached(one) if isinstance(one, Tensor) else one for one in found)
