"""The gated unit that keeps its input alone: beside diffusers', and derived by hand."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers.models.activations import GEGLU
from torch import Tensor

from motion_core.backbones.gated import gating


def unit() -> GEGLU:
    torch.manual_seed(0)
    return GEGLU(6, 10)


def found(layer: GEGLU, x: Tensor) -> tuple[Tensor, ...]:
    y = layer(x)
    weight = torch.linspace(-1, 1, y.numel()).view_as(y)
    return (y, *torch.autograd.grad((y * weight).sum(), [x, *layer.parameters()]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_diffusers_bit_for_bit(dtype: torch.dtype) -> None:
    layer, x = unit().to(dtype), torch.randn(3, 4, 6, dtype=dtype).requires_grad_(True)
    theirs = found(layer, x)
    with gating(layer):
        ours = found(layer, x)
    assert all(map(torch.equal, ours, theirs))
    assert "forward" not in vars(layer)


def test_it_is_a_times_gelu_of_b() -> None:
    """a = 3, b = 1: gelu(1) = Φ(1), y = 3·Φ(1); dy/da = Φ(1), dy/db = 3·(Φ(1) + φ(1))."""
    layer = GEGLU(1, 1, bias=False)
    layer.proj.weight.data = torch.tensor([[3.0], [1.0]])
    x = torch.ones(1, 1)
    with gating(layer):
        y = layer(x)
    below = (1 + math.erf(1 / math.sqrt(2))) / 2
    density = math.exp(-0.5) / math.sqrt(2 * math.pi)
    assert y.item() == pytest.approx(3 * below, rel=1e-5)
    y.backward()
    assert layer.proj.weight.grad is not None
    assert layer.proj.weight.grad.flatten().tolist() == pytest.approx(
        [below, 3 * (below + density)], rel=1e-5
    )


def test_gradients_are_taken_once() -> None:
    layer, x = unit(), torch.randn(2, 6, requires_grad=True)
    with gating(layer):
        loss = layer(x).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()
