"""LoRAs on linear layers as one operation with them: y = W x + b + Σ s·B A x of those that are
active, for all layers at once that see the same x, as the queries, keys and values of an attention
do.

In: linear layers and, by name, pairs of matrices in training. Out: layers in their places, each of
which is the linear layer itself, bit for bit, where no pair is active.

B's product is added into W's output, one product has the A of all, A and B are cast once an
optimiser step, and nothing as wide as the input is copied or kept beside the input itself. peft's
layer makes an fp32 copy of it, dropout's mask, and the scaled branch beside the sum. Paper: LoRA
(Hu et al. 2021, Eq. 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .casts import Casts


class LoraPart(nn.Module):
    """One LoRA of a layer. down: A (r, in) and up: B (out, r), float32. scale: alpha / r.

    dropout: p, in training mode, of A's outputs. composed: computed operation by operation, with
    dropout of A's inputs, as peft and version 0.1.0 do. casts: of these matrices, and of others.
    """

    def __init__(self, down: Tensor, up: Tensor, *, scale: float, dropout: float) -> None:
        super().__init__()
        self.down, self.up = nn.Parameter(down), nn.Parameter(up)
        self.scale, self.dropout, self.composed = scale, dropout, False
        self.casts = Casts([self.down, self.up])

    @property
    def drops(self) -> float:
        """The share that is dropped now."""
        return self.dropout if self.training else 0.0


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

    @property
    def taking_part(self) -> list[LoraPart]:
        return [self.part(name) for name in self.active]

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) to (…, out), in the dtype of the linear layer's own output."""
        parts = self.taking_part
        if not parts:
            return self.base_layer(x)
        if any(part.composed for part in parts):
            return _composed(x, self.base_layer, parts)
        return _fused(x, [self])[0]


def together(x: Tensor, layers: Sequence[nn.Module]) -> list[Tensor]:
    """Each layer's output of the same x (…, in): in one operation those with LoRAs, by themselves
    layers without, and those that hooks look at.
    """
    joined = [layer for layer in layers if _joins(layer)]
    if len(joined) < 2:
        return [layer(x) for layer in layers]
    outputs = dict(zip(map(id, joined), _fused(x, joined), strict=True))
    return [outputs[id(layer)] if id(layer) in outputs else layer(x) for layer in layers]


def _joins(layer: nn.Module) -> TypeGuard[LoraLinear]:
    hooked = layer._forward_pre_hooks or layer._forward_hooks
    if not isinstance(layer, LoraLinear) or hooked or not layer.active:
        return False
    return not any(part.composed for part in layer.taking_part)


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


def _fused(x: Tensor, layers: Sequence[LoraLinear]) -> tuple[Tensor, ...]:
    parts = [part for layer in layers for part in layer.taking_part]
    matrices = [matrix for part in parts for matrix in (part.down, part.up)]
    return _Fused.apply(x, layers, parts, *matrices)  # type: ignore[no-any-return]


class _Fused(torch.autograd.Function):
    """With x as rows, t = dropout(x Aᵀ) of all parts side by side: y = x Wᵀ + b + Σ s·t Bᵀ of each
    layer. W and b are frozen.

    Of the loss's gradients g, one a layer: dB = s·gᵀ t; with u = dropout'(s·g B) side by side,
    dA = uᵀ x and dx = Σ g W + u A.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        layers: Sequence[LoraLinear],
        parts: Sequence[LoraPart],
        *matrices: Tensor,
    ) -> tuple[Tensor, ...]:
        dtype = _dtype_of(x)
        rows = x.detach().to(dtype).flatten(0, -2)
        downs = _downs(parts, dtype)
        ups = [part.casts.of(part.up, dtype) for part in parts]
        ranks = [len(part.down) for part in parts]
        ranked, mask, ctx.kept = _dropped(F.linear(rows, downs), parts, ranks)
        of_part = zip(ranked.split(ranks, dim=1), ups, parts, strict=True)
        outputs, weights = [], []
        for layer in layers:
            weight, bias = _weights(layer.base_layer, dtype)
            y = F.linear(rows, weight, bias)
            for _ in layer.active:
                t, up, part = next(of_part)
                y.addmm_(t, up.T, alpha=part.scale)
            weights.append(weight)
            outputs.append(y.unflatten(0, x.shape[:-1]))
        ctx.save_for_backward(rows, downs, ranked, mask, *weights, *ups)
        ctx.counts = [len(layer.active) for layer in layers]
        ctx.ranks, ctx.scales = ranks, [part.scale for part in parts]
        ctx.shape, ctx.dtype = x.shape, x.dtype
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        rows, downs, ranked, mask, *others = ctx.saved_tensors
        weights, ups = others[: len(grads)], others[len(grads) :]
        by_layer = [grad.flatten(0, -2) for grad in grads]
        by_part = [
            grad for grad, count in zip(by_layer, ctx.counts, strict=True) for _ in range(count)
        ]
        needs_x, _, _, *needs = ctx.needs_input_grad
        needs_down, needs_up = needs[::2], needs[1::2]
        grad_x, found_down = None, [None] * len(ups)
        if needs_x or any(needs_down):
            back = _back(by_part, ups, ctx.scales, ctx.ranks)
            back = _dropped_back(back, mask, ctx.kept)
            if needs_x:
                grad_x = _through(by_layer, weights).addmm_(back, downs)
                grad_x = grad_x.to(ctx.dtype).view(ctx.shape)
            if any(needs_down):
                found_down = (back.T @ rows).float().split(ctx.ranks)
        found_up = [None] * len(ups)
        if any(needs_up):
            found_up = _of_ups(by_part, ranked.split(ctx.ranks, dim=1), ctx.scales)
        pairs = zip(found_down, needs_down, found_up, needs_up, strict=True)
        found = [g for down, a, up, b in pairs for g in (down if a else None, up if b else None)]
        return grad_x, None, None, *found


def _dtype_of(x: Tensor) -> torch.dtype:
    """That of a linear layer's product with x."""
    device = x.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return x.dtype


def _weights(base: nn.Linear, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    bias = base.bias
    return base.weight.detach().to(dtype), None if bias is None else bias.detach().to(dtype)


def _downs(parts: Sequence[LoraPart], dtype: torch.dtype) -> Tensor:
    """Every A under the other, (Σ r, in)."""
    casts = parts[0].casts
    if all(part.casts is casts for part in parts):
        return casts.rows_of([part.down for part in parts], dtype)
    return torch.cat([part.casts.of(part.down, dtype) for part in parts])


def _dropped(
    ranked: Tensor, parts: Sequence[LoraPart], ranks: Sequence[int]
) -> tuple[Tensor, Tensor | None, float]:
    """What is left of A's outputs, a mask, and what kept ones were multiplied by."""
    shares = {part.drops for part in parts}
    if shares == {0.0}:
        return ranked, None, 1.0
    if len(shares) == 1:
        (share,) = shares
        dropped, mask = torch.native_dropout(ranked, share, True)
        return dropped, mask, 1 / (1 - share)
    pieces = zip(ranked.split(ranks, dim=1), parts, strict=True)
    ones = [F.dropout(torch.ones_like(piece), part.drops) for piece, part in pieces]
    factors = torch.cat(ones, dim=1)
    return ranked * factors, factors, 1.0


def _dropped_back(grad: Tensor, mask: Tensor | None, kept: float) -> Tensor:
    if mask is None:
        return grad
    if mask.dtype == torch.bool:
        return torch.ops.aten.native_dropout_backward(grad, mask, kept)  # type: ignore[no-any-return]
    return grad.mul_(mask)


def _through(grads: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Σ g W of the layers."""
    grad_x = grads[0] @ weights[0]
    for grad, weight in zip(grads[1:], weights[1:], strict=True):
        grad_x.addmm_(grad, weight)
    return grad_x


def _back(
    grads: Sequence[Tensor], ups: Sequence[Tensor], scales: Sequence[float], ranks: Sequence[int]
) -> Tensor:
    """s·g B of the parts, side by side."""
    back = grads[0].new_empty(len(grads[0]), sum(ranks))
    places = back.split(list(ranks), dim=1)
    for place, grad, up, scale in zip(places, grads, ups, scales, strict=True):
        torch.addmm(place, grad, up, beta=0, alpha=scale, out=place)
    return back


def _of_ups(
    grads: Sequence[Tensor], ranked: Sequence[Tensor], scales: Sequence[float]
) -> list[Tensor]:
    """s·gᵀ t of each part, in float32."""
    shapes = [(grad.shape[1], t.shape[1]) for grad, t in zip(grads, ranked, strict=True)]
    sizes = [rows * columns for rows, columns in shapes]
    buffer = grads[0].new_empty(sum(sizes))
    places = [place.view(shape) for place, shape in zip(buffer.split(sizes), shapes, strict=True)]
    for place, grad, t, scale in zip(places, grads, ranked, scales, strict=True):
        torch.addmm(place, grad.T, t, beta=0, alpha=scale, out=place)
    whole = buffer.float().split(sizes)
    return [part.view(shape) for part, shape in zip(whole, shapes, strict=True)]
