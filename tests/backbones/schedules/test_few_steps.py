"""Few-step samplers against values derived by hand.

Fifty timesteps with ᾱ = 0.64 from the 25th on and 0.36 at the last: sqrt(ᾱ) = 0.8 and 0.6,
sqrt(1−ᾱ) = 0.6 and 0.8.
"""

from __future__ import annotations

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from motion_core.backbones.schedules.ddim import DdimSchedule
from motion_core.backbones.schedules.flow import FlowSchedule
from motion_core.errors import FormatError, SettingsError

BETAS = [0.0] * 24 + [0.36] + [0.0] * 24 + [0.4375]


def schedule(**config: object) -> DdimSchedule:
    return DdimSchedule(
        DDIMScheduler(num_train_timesteps=50, trained_betas=BETAS, clip_sample=False, **config)
    )


def test_lcm_goes_to_the_clip_and_adds_noise_but_for_the_last_step() -> None:
    """Two of the 50: the 50th and the 25th. From z = 2 with ε̂ = 0.5: x̂ = (2 − 0.8·0.5)/0.6 = 8/3,
    then z' = 0.8·x̂ + 0.6·n, and with ε̂ = 0.5 again (z' − 0.3)/0.8. LCM's boundary is 1 within
    1e-5 at both.
    """
    sampler = schedule().few_step_sampler("lcm", 2, seed=5)
    assert list(sampler.timesteps) == [49, 24]
    z, half = torch.full((1, 1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1, 1), 0.5)
    torch.testing.assert_close(sampler.foreseen(half, 49, z), torch.full_like(z, 8 / 3))
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(5))
    after = 0.8 * 8 / 3 + 0.6 * noise
    torch.testing.assert_close(sampler.step(half, 49, z), after, rtol=0, atol=1e-4)
    torch.testing.assert_close(
        sampler.step(half, 24, after), (after - 0.3) / 0.8, rtol=0, atol=1e-4
    )


def test_lightning_starts_at_the_last_timestep_and_ends_at_the_clip() -> None:
    """Trailing: 50 and 25, of which one less is asked. From z = 2, ε̂ = 0.5: 0.8·8/3 + 0.6·0.5, and
    from there to (z − 0.6·0.5)/0.8, whatever ᾱ the schedule has at its first timestep.
    """
    sampler = schedule(set_alpha_to_one=False, steps_offset=1).few_step_sampler("lightning", 2, 0)
    assert list(sampler.timesteps) == [49, 24]
    z, half = torch.full((1, 1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1, 1), 0.5)
    after = torch.full_like(z, 0.8 * 8 / 3 + 0.3)
    torch.testing.assert_close(sampler.step(half, 49, z), after)
    torch.testing.assert_close(sampler.step(half, 24, after), (after - 0.3) / 0.8)


def test_what_cannot_be_sampled_so_is_refused() -> None:
    with pytest.raises(SettingsError, match="1 to 50 with lcm"):
        schedule().few_step_sampler("lcm", 51, seed=0)
    from_noise = DdimSchedule(DDIMScheduler(rescale_betas_zero_snr=True))
    for kind in ("lcm", "lightning"):
        with pytest.raises(FormatError, match="zero terminal SNR"):
            from_noise.few_step_sampler(kind, 4, seed=0)
    with pytest.raises(SettingsError, match=r"few_steps is 'lcm'.*Set few_steps to 'off'"):
        FlowSchedule(shift=3.0).few_step_sampler("lcm", 4, seed=0)
