"""The three readings of the KL divergence against values derived by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from motion_core.methods.kl import KL_READINGS, gaussian_mse, moment_gaussian, softmax


def latents(*channels: list[float]) -> Tensor:
    """One video of one row, one pixel high: (1, C, 1, 1, w)."""
    return torch.tensor(channels)[None, :, None, None, :]


def test_gaussian_mse() -> None:
    """Differences 1 and −2: (1 + 4) / 2."""
    assert gaussian_mse(latents([1.0, 0.0]), latents([0.0, 2.0])).item() == 2.5


def test_moment_gaussian() -> None:
    """q: 1, 3 has m = 2, v = 1. p: −2, 2 has m = 0, v = 4.
    KL(q‖p) = ½·(ln 4 + (1 + 4)/4 − 1); a second channel that is alike adds 0 to the mean of two.
    """
    pred, base = latents([1.0, 3.0], [5.0, 7.0]), latents([-2.0, 2.0], [5.0, 7.0])
    expected = 0.5 * (math.log(4) + 0.25) / 2
    assert moment_gaussian(pred, base).item() == pytest.approx(expected, rel=1e-5)


def test_softmax() -> None:
    """q = (¾, ¼), p = (½, ½): KL(q‖p) = ¾·ln(3/2) + ¼·ln(1/2); KL(p‖q) would be 0.1438. Added
    constants are no difference to a softmax.
    """
    pred, base = latents([math.log(3), 0.0]), latents([7.0, 7.0])
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert softmax(pred, base).item() == pytest.approx(expected, rel=1e-5)


def test_positions_are_those_of_all_frames() -> None:
    """The same two values as two frames of one pixel, or as two pixels of one frame; a second video
    that is alike halves the mean.
    """
    pred, base = latents([math.log(3), 0.0]), latents([1.0, -1.0])
    for reading in (moment_gaussian, softmax):
        value = reading(pred, base).item()
        in_time = reading(pred.permute(0, 1, 4, 2, 3), base.permute(0, 1, 4, 2, 3)).item()
        assert in_time == pytest.approx(value)
        two = reading(torch.cat([pred, base]), torch.cat([base, base])).item()
        assert two == pytest.approx(value / 2)


@pytest.mark.parametrize("name", KL_READINGS)
def test_every_reading(name: str) -> None:
    """0 where both agree, more than 0 else; float32; gradients for the tuned branch alone."""
    reading = KL_READINGS[name]  # type: ignore[index]
    rng = torch.Generator().manual_seed(0)
    pred, base = torch.randn(2, 2, 4, 3, 2, 2, generator=rng).requires_grad_().unbind()
    pred.retain_grad()
    base.retain_grad()
    assert reading(pred, pred.clone()).item() == pytest.approx(0.0, abs=1e-6)
    value = reading(pred, base)
    value.backward()
    assert value.item() > 0 and value.shape == ()
    assert pred.grad is not None and pred.grad.abs().sum() > 0
    assert base.grad is None
    assert reading(pred.bfloat16(), base.bfloat16()).dtype == torch.float32


def test_a_constant_channel_is_finite() -> None:
    """Variance 0 is taken for 1e-6: ½·((1e-6 + 1e-6) / 1e-6 − 1) at means 1e-3 apart."""
    value = moment_gaussian(latents([1e-3, 1e-3]), latents([0.0, 0.0]))
    assert value.item() == pytest.approx(0.5, rel=1e-3)
