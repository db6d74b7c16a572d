"""noise.py against values derived by hand on a schedule of four timesteps.

Betas (0.19, 0.36, 0.75, 0), alphas (0.81, 0.64, 0.25, 1), ᾱ = (0.81, 0.5184, 0.1296, 0.1296):
sqrt(ᾱ) = (0.9, 0.72, 0.36, 0.36) and sqrt(1−ᾱ) = (sqrt(0.19), sqrt(0.4816), sqrt(0.8704), …).
"""

from __future__ import annotations

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from motion_core.diffusion.noise import (
    add_noise,
    blend_noise_prior,
    draw_noise,
    prediction_target,
    sample_timesteps,
)
from motion_core.errors import FormatError, MotionError, SettingsError


def four_steps(prediction_type: str = "epsilon") -> DDIMScheduler:
    return DDIMScheduler(
        num_train_timesteps=4,
        trained_betas=[0.19, 0.36, 0.75, 0.0],
        prediction_type=prediction_type,
    )


def test_timesteps_are_uniform_over_the_schedule_and_repeat_by_seed():
    """8000 draws of 4: each count has mean 2000 and deviation sqrt(8000·¼·¾) = 38.7."""
    drawn = sample_timesteps(8000, four_steps(), torch.Generator().manual_seed(1))
    assert drawn.dtype == torch.int64
    counts = torch.bincount(drawn, minlength=4)
    assert counts.shape == (4,)
    assert (counts - 2000).abs().max() < 175
    again = sample_timesteps(8000, four_steps(), torch.Generator().manual_seed(1))
    assert torch.equal(drawn, again)


def test_noise_is_standard_normal_and_rounds_after_drawing():
    """A half-precision draw is the float32 draw rounded, so precision does not change the seed."""
    shape = (2, 4, 8, 16, 16)
    noise = draw_noise(shape, torch.Generator().manual_seed(2), "cpu")
    assert noise.dtype == torch.float32 and noise.shape == shape
    assert abs(noise.mean().item()) < 0.03 and abs(noise.std().item() - 1.0) < 0.03
    half = draw_noise(shape, torch.Generator().manual_seed(2), "cpu", torch.float16)
    assert torch.equal(half, noise.half())


def test_noisy_latents_by_hand():
    """z = sqrt(ᾱ)·2 + sqrt(1−ᾱ)·(−1): t=0 1.8−0.435890; t=2 0.72−0.932952."""
    latents = torch.full((2, 1, 1, 1, 1), 2.0)
    noisy = add_noise(four_steps(), latents, -torch.ones_like(latents), torch.tensor([0, 2]))
    torch.testing.assert_close(noisy.flatten(), torch.tensor([1.364110, -0.212952]))


def test_targets_by_hand():
    """v = sqrt(ᾱ)·(−1) − sqrt(1−ᾱ)·2: t=0 −0.9−0.871780; t=2 −0.36−1.865905. ε is the noise."""
    latents = torch.full((2, 1, 1, 1, 1), 2.0)
    noise, timesteps = -torch.ones_like(latents), torch.tensor([0, 2])
    assert torch.equal(prediction_target(four_steps(), latents, noise, timesteps), noise)
    target = prediction_target(four_steps("v_prediction"), latents, noise, timesteps)
    torch.testing.assert_close(target.flatten(), torch.tensor([-1.771780, -2.225905]))


def test_zero_terminal_snr_leaves_noise_alone_and_v_is_minus_the_clip():
    """ᾱ_{T−1} = 0: z = ε and v = −z_0, exactly."""
    scheduler = DDIMScheduler(rescale_betas_zero_snr=True, prediction_type="v_prediction")
    rng = torch.Generator().manual_seed(0)
    latents, noise = torch.randn(2, 1, 4, 2, 4, 4, generator=rng)
    last = torch.tensor([999])
    assert torch.equal(add_noise(scheduler, latents, noise, last), noise)
    assert torch.equal(prediction_target(scheduler, latents, noise, last), -latents)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_agrees_with_diffusers(prediction_type: str):
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", prediction_type=prediction_type)
    rng = torch.Generator().manual_seed(0)
    latents, noise = torch.randn(2, 3, 4, 2, 4, 4, generator=rng)
    timesteps = sample_timesteps(3, scheduler, rng)
    noisy = add_noise(scheduler, latents, noise, timesteps)
    torch.testing.assert_close(noisy, scheduler.add_noise(latents, noise, timesteps))
    target = prediction_target(scheduler, latents, noise, timesteps)
    velocity = scheduler.get_velocity(latents, noise, timesteps)
    torch.testing.assert_close(target, noise if prediction_type == "epsilon" else velocity)


def test_half_precision_latents_use_a_float32_schedule():
    """One rounding at the end: the result is that of float32, rounded. The schedule stays as is."""
    scheduler = DDIMScheduler()
    schedule = scheduler.alphas_cumprod
    latents, noise = torch.randn(
        2, 1, 4, 2, 4, 4, generator=torch.Generator().manual_seed(0)
    ).half()
    timesteps = torch.tensor([17])
    exact = add_noise(scheduler, latents.float(), noise.float(), timesteps)
    assert torch.equal(add_noise(scheduler, latents, noise, timesteps), exact.half())
    assert scheduler.alphas_cumprod is schedule


def test_x0_prediction_is_refused():
    latents = torch.zeros(1, 1, 1, 1, 1)
    with pytest.raises(FormatError, match="'sample'"):
        prediction_target(four_steps("sample"), latents, latents, torch.tensor([0]))


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
