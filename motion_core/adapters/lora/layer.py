"""LoRAs on one linear layer as one operation: y = W x + b + Σ s·B A x of those that are active.

In: a linear layer and, by name, pairs of matrices in training. Out: a layer in its place, which is
the linear layer itself, bit for bit, where no pair is active.

B's product is added into W's output, A and B are cast once an optimiser step, and nothing as wide
as the input is copied or kept beside the input itself. peft's layer makes an fp32 copy of it,
dropout's mask, and the scaled branch beside the sum. Paper: LoRA (Hu et al. 2021, Eq. 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class LoraPart(nn.Module):
    """One LoRA of a layer. down: A (r, in) and up: B (out, r), float32. scale: alpha / r.

    dropout: p, in training mode, of A's outputs. composed: computed operation by operation, with
    dropout of A's inputs, as peft and version 0.1.0 do.
    """

    def __init__(self, down: Tensor, up: Tensor, *, scale: float, dropout: float) -> None:
        super().__init__()
        self.down, self.up = nn.Parameter(down), nn.Parameter(up)
        self.scale, self.dropout, self.composed = scale, dropout, False
        self._casts: dict[str, tuple[int, Tensor]] = {}

    def cast(self, name: Literal["down", "up"], dtype: torch.dtype) -> Tensor:
        """A matrix in this dtype, copied once for each time that the optimiser has changed it."""
        matrix = self.get_parameter(name).detach()
        if matrix.dtype == dtype:
            return matrix
        version, copy = self._casts.get(name, (-1, matrix))
        if (version, copy.dtype, copy.device) != (matrix._version, dtype, matrix.device):
            copy = matrix.to(dtype)
            self._casts[name] = matrix._version, copy
        return copy


class LoraLinear(nn.Module):
    """A linear layer and the LoRAs on it. active: the names of those that take part."""

    def __init__(self, base_layer: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.parts = nn.ModuleDict()
        self.active: tuple[str, ...] = ()

    def part(self, name: str) -> LoraPart:
        part = self.parts[name]
        assert isinstance(part, LoraPart), name
        return part

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) to (…, out), in the dtype of the linear layer's own output."""
        if not self.active:
            return self.base_layer(x)
        parts = [self.part(name) for name in self.active]
        if any(part.composed for part in parts):
            return _composed(x, self.base_layer, parts)
        matrices = [matrix for part in parts for matrix in (part.down, part.up)]
        return _Fused.apply(x, self.base_layer, parts, *matrices)  # type: ignore[no-any-return]


def compose(network: nn.Module) -> None:
    """Computes all LoRAs in the network as version 0.1.0 did, bit for bit, for runs of then."""
    for module in network.modules():
        if isinstance(module, LoraPart):
            module.composed = True


def _composed(x: Tensor, base: nn.Linear, parts: Sequence[LoraPart]) -> Tensor:
    """Operation by operation, as in peft, bit for bit."""
    y = base(x)
    dtype = y.dtype
    for part in parts:
        x = x.to(part.down.dtype)
        dropped = F.dropout(x, part.dropout, part.training)
        y = y + F.linear(F.linear(dropped, part.down), part.up) * part.scale
    return y.to(dtype)


class _Fused(torch.autograd.Function):
    """With x as rows, t = dropout(x Aᵀ): y = x Wᵀ + b + Σ s·t Bᵀ. W and b are frozen.

    Of the loss's gradient g: dB = s·gᵀ t; with u = s·dropout'(g B), dA = uᵀ x and
    dx = g W + Σ u A.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, base: nn.Linear, parts: Sequence[LoraPart], *matrices: Tensor
    ) -> Tensor:
        dtype = _dtype_of(x)
        rows = x.detach().to(dtype).flatten(0, -2)
        weight, bias = (w if w is None else w.detach().to(dtype) for w in (base.weight, base.bias))
        y = F.linear(rows, weight, bias)
        saved = [rows, weight]
        for part in parts:
            down, up = part.cast("down", dtype), part.cast("up", dtype)
            ranked, mask = _dropped(F.linear(rows, down), part)
            y.addmm_(ranked, up.T, alpha=part.scale)
            saved += [down, up, ranked, mask]
        ctx.save_for_backward(*saved)
        ctx.scales = [(part.scale, part.dropout) for part in parts]
        ctx.shape, ctx.dtype = x.shape, x.dtype
        return y.unflatten(0, x.shape[:-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, *saved = ctx.saved_tensors
        grad = grads[0].flatten(0, -2)
        needs_x, _, _, *needs = ctx.needs_input_grad
        grad_x = grad @ weight if needs_x else None
        found: list[Tensor | None] = []
        for index, (scale, dropout) in enumerate(ctx.scales):
            down, up, ranked, mask = saved[4 * index : 4 * index + 4]
            needs_down, needs_up = needs[2 * index : 2 * index + 2]
            back = None
            if needs_x or needs_down:
                back = _dropped_back(_scaled(grad @ up, scale), mask, dropout)
            if grad_x is not None and back is not None:
                grad_x.addmm_(back, down)
            found.append((back.T @ rows).float() if needs_down and back is not None else None)
            found.append(_scaled((grad.T @ ranked).float(), scale) if needs_up else None)
        if grad_x is not None:
            grad_x = grad_x.to(ctx.dtype).view(ctx.shape)
        return grad_x, None, None, *found


def _dtype_of(x: Tensor) -> torch.dtype:
    """That of a linear layer's product with x."""
    device = x.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return x.dtype


def _dropped(ranked: Tensor, part: LoraPart) -> tuple[Tensor, Tensor | None]:
    if not part.training or part.dropout == 0:
        return ranked, None
    dropped, mask = torch.native_dropout(ranked, part.dropout, True)
    return dropped, mask


def _dropped_back(grad: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    return grad if mask is None else grad.mul_(mask).mul_(1 / (1 - dropout))


def _scaled(grad: Tensor, scale: float) -> Tensor:
    return grad if scale == 1 else grad.mul_(scale)
