"""Meta tensors computed as CUDA would compute them: its kernels, and its autocast.

Attention and dropout are those that run on CUDA, which never keep an attention matrix, and keep a
byte for each number that dropout passes. Optimisers take the multi-tensor operations that are their
default there. Under `torch.autocast("cuda")` the functions that torch lists for CUDA
(aten/src/ATen/autocast_mode.h, 2.14) cast their arguments, and weights in training once for each
context, as torch does it: its own casts act on CUDA's tensors alone.
tests/benchmarks/step_cost/test_cuda.py compares the operations with those of torch's autocast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils
from torch.utils._pytree import tree_map

# Of torch's lists what occurs in these networks and losses, by the names of the functions that
# Python calls.
_LOWER = frozenset(
    "linear conv1d conv2d conv3d matmul __matmul__ __rmatmul__ mm bmm addmm baddbmm".split()
)
_FLOAT32 = frozenset(
    "layer_norm group_norm mse_loss l1_loss pow __pow__ exp log rsqrt interpolate "
    "cosine_similarity softplus".split()
)
_FLOAT32_RESULT = frozenset("softmax sum cumsum prod".split())


@contextmanager
def as_on_cuda() -> Iterator[None]:
    """Kernels, optimisers and autocast of CUDA for meta tensors; see the module."""
    with kernels_of_cuda(), _multi_tensor(), _autocast_of_cuda():
        yield


@contextmanager
def kernels_of_cuda() -> Iterator[None]:
    """Attention and dropout alone."""
    with (
        patch.object(functional, "scaled_dot_product_attention", _attention),
        patch.object(functional, "dropout", _dropout),
    ):
        yield


@contextmanager
def _multi_tensor() -> Iterator[None]:
    def devices() -> list[str]:
        return ["cuda", "meta"]

    with (
        patch.object(_foreach_utils, "_get_foreach_kernels_supported_devices", devices),
        patch("torch.optim.optimizer._get_foreach_kernels_supported_devices", devices),
        patch("torch.optim.optimizer._get_fused_kernels_supported_devices", devices),
    ):
        yield


@contextmanager
def _autocast_of_cuda() -> Iterator[None]:
    """`torch.autocast("cuda")` can be entered, acts on meta tensors and is what they ask for, also
    when a checkpointed layer is recomputed.
    """

    def asks_cuda(ask: Callable[[str], Any]) -> Callable[..., Any]:
        return lambda device_type="cuda": ask("cuda" if device_type == "meta" else device_type)

    make, enter, leave = (
        getattr(torch.autocast, name) for name in ("__init__", "__enter__", "__exit__")
    )
    casts = _Casts()

    def made(context: Any, device_type: str, *args: Any, **kwargs: Any) -> None:
        make(context, "cuda" if device_type == "meta" else device_type, *args, **kwargs)

    def entered(context: Any) -> Any:
        result = enter(context)
        if context.device == "cuda":
            casts.__enter__()
        return result

    def left(context: Any, *error: Any) -> Any:
        if context.device == "cuda":
            casts.__exit__(*error)
        return leave(context, *error)

    with (
        patch.object(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False),
        patch.object(torch.cuda, "is_bf16_supported", lambda: True),
        patch.object(torch, "is_autocast_enabled", asks_cuda(torch.is_autocast_enabled)),
        patch.object(torch, "get_autocast_dtype", asks_cuda(torch.get_autocast_dtype)),
        patch("torch.utils.checkpoint._infer_device_type", lambda *_: "cuda"),
        patch.object(torch.autocast, "__init__", made),
        patch.object(torch.autocast, "__enter__", entered),
        patch.object(torch.autocast, "__exit__", left),
        patch.object(torch, "clear_autocast_cache", casts.clear),
    ):
        yield


class _Casts(TorchFunctionMode):
    """Casts the arguments of functions where `torch.autocast("cuda")` is on."""

    def __init__(self) -> None:
        super().__init__()
        self._clear = torch.clear_autocast_cache
        self._weights: dict[int, tuple[Tensor, Tensor]] = {}

    def clear(self) -> None:
        """At the end of the outermost context."""
        self._weights.clear()
        self._clear()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if not torch.is_autocast_enabled("cuda"):
            return func(*args, **kwargs)
        if name in _LOWER:
            args, kwargs = self._cast((args, kwargs), torch.get_autocast_dtype("cuda"))
        elif name in _FLOAT32:
            args, kwargs = self._cast((args, kwargs), torch.float32)
        elif name in _FLOAT32_RESULT and kwargs.get("dtype") is None:
            kwargs = {**kwargs, "dtype": torch.float32}
        return func(*args, **kwargs)

    def _cast(self, values: Any, dtype: torch.dtype) -> Any:
        return tree_map(lambda value: self._cast_one(value, dtype), values)

    def _cast_one(self, value: Any, dtype: torch.dtype) -> Any:
        if not isinstance(value, Tensor) or value.device.type != "meta" or value.dtype == dtype:
            return value
        if not value.is_floating_point() or value.dtype == torch.float64:
            return value
        kept = dtype != torch.float32 and value.requires_grad and value.is_leaf
        if not (kept and torch.is_autocast_cache_enabled()):
            return value.to(dtype)
        if id(value) not in self._weights:
            self._weights[id(value)] = value, value.to(dtype)
        return self._weights[id(value)][1]


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Flash attention; in float32, which it does not know, the memory-efficient one."""
    if torch.is_autocast_enabled("cuda"):
        dtype = torch.get_autocast_dtype("cuda")
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    if query.dtype is not torch.float32:
        flash = torch.ops.aten._scaled_dot_product_flash_attention
        return flash(query, key, value, dropout_p, is_causal, scale=scale)[0]
    kept = query.requires_grad or key.requires_grad or value.requires_grad
    efficient = torch.ops.aten._scaled_dot_product_efficient_attention
    mask, causal = attn_mask, is_causal
    return efficient(query, key, value, mask, kept, dropout_p, causal, scale=scale)[0]


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    return torch.native_dropout(input, p, training)[0] if training and p else input
