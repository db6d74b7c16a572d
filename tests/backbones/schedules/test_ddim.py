"""DDIM's schedule against values derived by hand, most on four timesteps.

Betas (0.19, 0.36, 0.75, 0), alphas (0.81, 0.64, 0.25, 1), ᾱ = (0.81, 0.5184, 0.1296, 0.1296):
sqrt(ᾱ) = (0.9, 0.72, 0.36, 0.36) and sqrt(1−ᾱ) = (sqrt(0.19), sqrt(0.4816), sqrt(0.8704), …).
"""

from __future__ import annotations

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from motion_core.backbones.schedules.ddim import DdimSampler, DdimSchedule
from motion_core.errors import FormatError


def four_steps(prediction_type: str = "epsilon") -> DdimSchedule:
    scheduler = DDIMScheduler(
        num_train_timesteps=4,
        trained_betas=[0.19, 0.36, 0.75, 0.0],
        prediction_type=prediction_type,
    )
    return DdimSchedule(scheduler)


def test_timesteps_are_uniform_over_the_schedule_and_repeat_by_seed():
    """8000 draws of 4: each count has mean 2000 and deviation sqrt(8000·¼·¾) = 38.7."""
    drawn = four_steps().draw_timesteps(8000, torch.Generator().manual_seed(1))
    assert drawn.dtype == torch.int64
    counts = torch.bincount(drawn, minlength=4)
    assert counts.shape == (4,)
    assert (counts - 2000).abs().max() < 175
    again = four_steps().draw_timesteps(8000, torch.Generator().manual_seed(1))
    assert torch.equal(drawn, again)


def test_noisy_latents_by_hand():
    """z = sqrt(ᾱ)·2 + sqrt(1−ᾱ)·(−1): t=0 1.8−0.435890; t=2 0.72−0.932952."""
    latents = torch.full((2, 1, 1, 1, 1), 2.0)
    noisy = four_steps().noised(latents, -torch.ones_like(latents), torch.tensor([0, 2]))
    torch.testing.assert_close(noisy.flatten(), torch.tensor([1.364110, -0.212952]))


def test_targets_by_hand():
    """v = sqrt(ᾱ)·(−1) − sqrt(1−ᾱ)·2: t=0 −0.9−0.871780; t=2 −0.36−1.865905. ε is the noise."""
    latents = torch.full((2, 1, 1, 1, 1), 2.0)
    noise, timesteps = -torch.ones_like(latents), torch.tensor([0, 2])
    assert torch.equal(four_steps().target(latents, noise, timesteps), noise)
    target = four_steps("v_prediction").target(latents, noise, timesteps)
    torch.testing.assert_close(target.flatten(), torch.tensor([-1.771780, -2.225905]))


def test_zero_terminal_snr_leaves_noise_alone_and_v_is_minus_the_clip():
    """ᾱ_{T−1} = 0: z = ε and v = −z_0, exactly."""
    scheduler = DDIMScheduler(rescale_betas_zero_snr=True, prediction_type="v_prediction")
    rng = torch.Generator().manual_seed(0)
    latents, noise = torch.randn(2, 1, 4, 2, 4, 4, generator=rng)
    last = torch.tensor([999])
    assert torch.equal(DdimSchedule(scheduler).noised(latents, noise, last), noise)
    assert torch.equal(DdimSchedule(scheduler).target(latents, noise, last), -latents)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_agrees_with_diffusers(prediction_type: str):
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", prediction_type=prediction_type)
    rng = torch.Generator().manual_seed(0)
    latents, noise = torch.randn(2, 3, 4, 2, 4, 4, generator=rng)
    timesteps = DdimSchedule(scheduler).draw_timesteps(3, rng)
    noisy = DdimSchedule(scheduler).noised(latents, noise, timesteps)
    torch.testing.assert_close(noisy, scheduler.add_noise(latents, noise, timesteps))
    target = DdimSchedule(scheduler).target(latents, noise, timesteps)
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
    exact = DdimSchedule(scheduler).noised(latents.float(), noise.float(), timesteps)
    assert torch.equal(DdimSchedule(scheduler).noised(latents, noise, timesteps), exact.half())
    assert scheduler.alphas_cumprod is schedule


def test_x0_prediction_is_refused():
    latents = torch.zeros(1, 1, 1, 1, 1)
    with pytest.raises(FormatError, match="'sample'"):
        four_steps("sample").target(latents, latents, torch.tensor([0]))


def test_inverse_step_by_hand_epsilon():
    """T = 4, N = 2, t = 2, s = 0; ᾱ_0 = 0.64 (cos 0.8, sin 0.6), ᾱ_2 = 0.36 (cos 0.6, sin 0.8).

    z_s = 1, ε̂ = 0.5: (1 − 0.6·0.5)·0.6/0.8 + 0.8·0.5 = 0.525 + 0.4 = 0.925.
    """
    scheduler = by_hand("epsilon")
    one, half = torch.ones(1), torch.full((1,), 0.5)
    torch.testing.assert_close(
        DdimSampler(scheduler).inverse_step(half, 2, one), torch.tensor([0.925])
    )


def test_inverse_step_by_hand_v():
    """As above; cos(φ_t−φ_s) = 0.6·0.8 + 0.8·0.6 = 0.96, sin(φ_t−φ_s) = 0.8·0.8 − 0.6·0.6 = 0.28.

    z_s = 1, v̂ = 0.5: (1 + 0.28·0.5)/0.96 = 1.1875.
    """
    scheduler = by_hand("v_prediction")
    one, half = torch.ones(1), torch.full((1,), 0.5)
    torch.testing.assert_close(
        DdimSampler(scheduler).inverse_step(half, 2, one), torch.tensor([1.1875])
    )


def test_what_a_step_foresees_by_hand():
    """At t = 2 (cos 0.6, sin 0.8), z_t = 1 and 0.5 predicted: (1 − 0.8·0.5)/0.6 = 1 of ε, and
    0.6·1 − 0.8·0.5 = 0.2 of v. At ᾱ = 0 nothing is seen of the clip but −v.
    """
    one, half = torch.ones(1), torch.full((1,), 0.5)
    for kind, expected in (("epsilon", 1.0), ("v_prediction", 0.2)):
        sampler = DdimSampler(by_hand(kind))
        seen = sampler.foreseen(half, 2, one)
        torch.testing.assert_close(seen, torch.tensor([expected]))
        step = sampler.scheduler.step(half, 2, one)
        torch.testing.assert_close(seen, step.pred_original_sample)


def by_hand(prediction_type: str) -> DDIMScheduler:
    """Alphas (0.64, 0.75, 0.75, 1): ᾱ = (0.64, 0.48, 0.36, 0.36)."""
    scheduler = DDIMScheduler(
        num_train_timesteps=4,
        trained_betas=[0.36, 0.25, 0.25, 0.0],
        clip_sample=False,
        prediction_type=prediction_type,
    )
    scheduler.set_timesteps(2)
    return scheduler


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("set_alpha_to_one", [True, False])
def test_inverse_step_undoes_the_scheduler_at_every_timestep(
    prediction_type: str, spacing: str, set_alpha_to_one: bool
):
    """For whatever the network says, not only where it is right: the step is solved exactly."""
    scheduler = DDIMScheduler(
        clip_sample=False,
        prediction_type=prediction_type,
        timestep_spacing=spacing,
        steps_offset=1 if spacing == "leading" else 0,
        set_alpha_to_one=set_alpha_to_one,
        rescale_betas_zero_snr=prediction_type == "v_prediction",
    )
    scheduler.set_timesteps(7)
    latents, model_pred = torch.randn(2, 1, 4, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    for timestep in scheduler.timesteps.tolist():
        stepped = scheduler.step(model_pred, timestep, latents).prev_sample
        back = DdimSampler(scheduler).inverse_step(model_pred, timestep, stepped)
        torch.testing.assert_close(back, latents, rtol=1e-3, atol=1e-3)
