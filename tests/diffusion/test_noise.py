"""noise.py against values derived by hand."""

from __future__ import annotations

import pytest
import torch

from motion_core.diffusion.noise import blend_noise_prior, draw_noise
from motion_core.errors import MotionError, SettingsError


def test_noise_is_standard_normal_and_rounds_after_drawing():
    """A half-precision draw is the float32 draw rounded, so precision does not change the seed."""
    shape = (2, 4, 8, 16, 16)
    noise = draw_noise(shape, torch.Generator().manual_seed(2), "cpu")
    assert noise.dtype == torch.float32 and noise.shape == shape
    assert abs(noise.mean().item()) < 0.03 and abs(noise.std().item() - 1.0) < 0.03
    half = draw_noise(shape, torch.Generator().manual_seed(2), "cpu", torch.float16)
    assert torch.equal(half, noise.half())


def test_noise_prior_by_hand():
    """p = 0.36: sqrt(0.36)·5 + sqrt(0.64)·10 = 3 + 8 = 11. The ends are each input itself."""
    inverted, noise = torch.full((1, 1, 2, 1, 1), 5.0), torch.full((1, 1, 2, 1, 1), 10.0)
    torch.testing.assert_close(
        blend_noise_prior(inverted, noise, 0.36), torch.full((1, 1, 2, 1, 1), 11.0)
    )
    assert torch.equal(blend_noise_prior(inverted, noise, 0.0), noise)
    assert torch.equal(blend_noise_prior(inverted, noise, 1.0), inverted)


def test_noise_prior_keeps_unit_variance():
    rng = torch.Generator().manual_seed(0)
    inverted, noise = torch.randn(2, 1, 4, 16, 32, 32, generator=rng)
    for p in (0.1, 0.5, 0.9):
        assert abs(blend_noise_prior(inverted, noise, p).std().item() - 1.0) < 0.02


def test_noise_prior_refuses_what_does_not_fit():
    noise = torch.zeros(1, 4, 8, 4, 4)
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(SettingsError, match="noise_prior"):
            blend_noise_prior(noise, noise, p)
    with pytest.raises(MotionError, match=r"\(1, 4, 16, 4, 4\); expected \(1, 4, 8, 4, 4\)"):
        blend_noise_prior(torch.zeros(1, 4, 16, 4, 4), noise, 0.5)
