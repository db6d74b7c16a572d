"""The losses against values worked out by hand, and against their gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from motion_core.methods.losses import debias, debiased_mse, frames_at, mse, with_offset
from motion_core.methods.vmc import motion_vectors


def video(*frames: float) -> Tensor:
    """One video, one channel, one pixel: (1, 1, F, 1, 1)."""
    return torch.tensor(frames, dtype=torch.float32).view(1, 1, -1, 1, 1)


def test_mse_is_the_mean_over_all_elements() -> None:
    """((1-0)² + (3-1)²) / 2 = 2.5."""
    assert mse(video(1.0, 3.0), video(0.0, 1.0)).item() == 2.5


def test_losses_are_float32_for_half_precision_inputs() -> None:
    """300² = 90,000 is beyond float16 (65,504): computed there it would be infinite."""
    pred, target = video(300.0, 0.0).half(), video(0.0, 0.0).half()
    anchors = torch.tensor([1])
    assert mse(pred, target).item() == 45_000.0
    assert debiased_mse(pred, target, anchors, 0.0).item() == 45_000.0
    assert (
        mse(pred, target).dtype is debiased_mse(pred, target, anchors, 1.0).dtype is torch.float32
    )


def test_debias_by_hand() -> None:
    """Eq. 5, β = 1, anchor = frame 1 of (1, 2, 4): φ = (√2·1 − 2, √2·2 − 2, √2·4 − 2)."""
    root = math.sqrt(2)
    expected = video(root - 2, 2 * root - 2, 4 * root - 2)
    torch.testing.assert_close(debias(video(1, 2, 4), torch.tensor([1]), 1.0), expected)


def test_debias_weights_the_anchor_by_beta() -> None:
    """β = 0.75: sqrt(0.5625 + 1) = 1.25, so with anchor 0 of (2, 4): (1.25·2 − 0.75·2, 1.25·4 −
    0.75·2) = (1, 3.5).
    """
    assert torch.equal(debias(video(2, 4), torch.tensor([0]), 0.75), video(1.0, 3.5))


def test_debias_without_strength_is_the_identity() -> None:
    values = torch.randn(2, 4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(debias(values, torch.tensor([0, 2]), 0.0), values)


def test_debiased_mse_by_hand() -> None:
    """φ is linear, so the loss is the mean of φ(d)² with d = pred − target.

    d = (1, 3), anchor 0, β = 0.75: φ(d) = (1.25 − 0.75, 3.75 − 0.75) = (0.5, 3), mean of squares
    (0.25 + 9) / 2.
    """
    loss = debiased_mse(video(2, 4), video(1, 1), torch.tensor([0]), 0.75)
    assert loss.item() == pytest.approx(4.625)


def test_debiased_mse_forgives_part_of_a_shift_of_all_frames() -> None:
    """A constant error c in all frames costs (√2 − 1)²·c² ≈ 0.17 c² at β = 1; MSE alone counts c²
    in full.
    """
    loss = debiased_mse(video(2, 2, 2), video(0, 0, 0), torch.tensor([1]), 1.0)
    assert loss.item() == pytest.approx(4 * (math.sqrt(2) - 1) ** 2)


def test_debiased_mse_gradient_by_hand() -> None:
    """L = ½[(a·d0 − b·d0)² + (a·d1 − b·d0)²], a = 1.25, b = 0.75, d = (1, 3), anchor 0: φ = (0.5,
    3).

    ∂L/∂d0 = (a − b)·0.5 − b·3 = 0.25 − 2.25 = −2; ∂L/∂d1 = a·3 = 3.75. The anchor's own error gets
    a gradient.
    """
    pred = video(1, 3).requires_grad_()
    debiased_mse(pred, video(0, 0), torch.tensor([0]), 0.75).backward()
    assert pred.grad is not None
    torch.testing.assert_close(pred.grad, video(-2.0, 3.75))


def test_each_video_has_its_own_frame() -> None:
    """Video 0 holds channels (0 1 2), (3 4 5); video 1 holds (6 7 8), (9 10 11)."""
    values = torch.arange(12.0).view(2, 2, 3, 1, 1)
    picked = frames_at(values, torch.tensor([2, 0]))
    assert picked.shape == (2, 2, 1, 1, 1)
    assert picked.flatten().tolist() == [2.0, 5.0, 6.0, 9.0]


def test_an_offset_is_one_number_for_each_position() -> None:
    """JointTuner: ε̂ + s·η with η of (B, 1, 1, h, w), here s = 0.5 of a prediction of 2: all
    channels and frames of a position have 2 + 0.5·η, and frames differ as before.
    """
    pred = torch.full((2, 4, 3, 2, 2), 2.0)
    offset = with_offset(pred, 0.5, torch.Generator().manual_seed(7))
    eta = torch.randn(2, 1, 1, 2, 2, generator=torch.Generator().manual_seed(7))
    assert torch.equal(offset, (2.0 + 0.5 * eta).expand(2, 4, 3, 2, 2))
    assert len(offset.unique()) == 8
    assert torch.equal(motion_vectors(offset), torch.zeros(2, 4, 2, 2, 2))


def test_an_offset_leaves_the_gradient_as_it_is_in_the_mean() -> None:
    """∂/∂ε̂ of mean (ε̂ + η - ε)² is 2(ε̂ + η - ε)/n, its mean over η 2(ε̂ - ε)/n. With ε̂ = 3, ε = 1
    and n = 1 it is 4, with standard deviation 2; of 4,000 draws' mean that is 0.032.
    """
    draws = torch.Generator().manual_seed(0)
    pred = torch.full((4000, 1, 1, 1, 1), 3.0, requires_grad=True)
    loss = mse(with_offset(pred, 1.0, draws), torch.ones_like(pred))
    (gradient,) = torch.autograd.grad(4000 * loss, pred)
    assert gradient.mean().item() == pytest.approx(4.0, abs=0.1)
    assert gradient.std().item() == pytest.approx(2.0, abs=0.1)
    assert loss.item() == pytest.approx(4.0 + 1.0, abs=0.3)
