"""The gated unit of transformer blocks' feed-forward layers, keeping only what it is given.

a · gelu(b) of the halves a, b of a projection (GEGLU: Shazeer, arXiv 2002.05202). The halves are
four times as wide as the block: composed of operations, gelu(b) is kept beside them for the
backward pass, and the gradients of the halves are put together by a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .replacing import replaced_forward

aten = torch.ops.aten


@contextmanager
def gating(network: nn.Module) -> Iterator[None]:
    """Within the context every GEGLU of diffusers in the network keeps less; see the module."""
    from diffusers.models.activations import GEGLU  # heavy

    with ExitStack() as stack:
        for part in network.modules():
            if type(part) is GEGLU:
                stack.enter_context(replaced_forward(part, partial(_gated, part)))
        yield


def _gated(part: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """(…, C) to (…, inner)."""
    return _Gated.apply(part.proj(hidden_states))  # type: ignore[no-any-return]


class _Gated(torch.autograd.Function):
    """y = a · gelu(b): da = g · gelu(b), db = g · a · gelu'(b). They are written over a and b, that
    nothing else has: gradients can be taken once.
    """

    @staticmethod
    def forward(ctx: Any, halves: Tensor) -> Tensor:
        ctx.save_for_backward(halves)
        ctx.is_spent = False
        a, b = halves.chunk(2, dim=-1)
        return F.gelu(b).mul_(a)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        if ctx.is_spent:
            raise RuntimeError("The gradients of a gated unit are taken a second time.")
        ctx.is_spent = True
        (halves,), (grad,) = ctx.saved_tensors, grads
        a, b = halves.chunk(2, dim=-1)
        of_gelu = grad * a
        aten.gelu.out(b, out=a).mul_(grad)
        aten.gelu_backward.grad_input(of_gelu, b, grad_input=b)
        return halves
