"""Rectified flow against values derived by hand."""

from __future__ import annotations

import pytest
import torch

from motion_core.backbones.schedules.flow import FlowSchedule
from motion_core.errors import SettingsError


def test_mixing_and_target_by_hand():
    """z = 2, n = −1: v = −3; σ = 0.25: x = −0.25 + 1.5 = 1.25; σ = 1: x = n."""
    latents = torch.full((2, 1, 1, 1, 1), 2.0)
    noise, timesteps = -torch.ones_like(latents), torch.tensor([250.0, 1000.0])
    schedule = FlowSchedule(shift=3.0)
    noisy = schedule.noised(latents, noise, timesteps)
    assert noisy.flatten().tolist() == [1.25, -1.0]
    target = schedule.target(latents, noise, timesteps)
    assert target.flatten().tolist() == [-3.0, -3.0]
    # Whole timesteps, as methods that choose their own draw them, are the same ones.
    assert torch.equal(schedule.noised(latents, noise, timesteps.long()), noisy)


def test_shift_by_hand():
    """s = 3: σ(1/2) = 1.5 / 2 = 0.75, σ(1/4) = 0.75 / 1.5 = 0.5; the ends stay. s = 1: σ = u."""
    places = torch.tensor([0.0, 0.25, 0.5, 1.0])
    assert FlowSchedule(shift=3.0).sigma(places).tolist() == [0.0, 0.5, 0.75, 1.0]
    assert FlowSchedule(shift=1.0).sigma(places).tolist() == places.tolist()
    with pytest.raises(SettingsError, match="shift"):
        FlowSchedule(shift=0.0)


def test_drawn_timesteps_are_shifted_and_above_the_minimum():
    """Of u uniform half lie below 1/2, so half of σ below σ(1/2) = 0.75. From 500 on u is in
    [1/4, 1], whose middle 5/8 is σ = 1.875 / 2.25 = 5/6.
    """
    schedule = FlowSchedule(shift=3.0)
    drawn = schedule.draw_timesteps(1000, torch.Generator().manual_seed(0))
    assert drawn.dtype == torch.float32 and 0 <= drawn.min() and drawn.max() <= 1000
    assert abs(int((drawn < 750).sum()) - 500) <= 1
    drawn = schedule.draw_timesteps(1000, torch.Generator().manual_seed(0), minimum=500)
    assert 499.99 <= drawn.min() and abs(int((drawn < 2500 / 3).sum()) - 500) <= 1


def test_steps_by_hand():
    """s = 3, N = 2: u = (1, 1/2, 0), σ = (1, 0.75, 0). From x = 4 with v̂ = 2: 4 − 0.25·2 = 3.5;
    with v̂ = −1: 3.5 + 0.75 = 4.25.
    """
    sampler = FlowSchedule(shift=3.0).sampler(2)
    assert sampler.timesteps == [1000.0, 750.0]
    first = sampler.step(torch.tensor(2.0), 1000.0, torch.tensor(4.0))
    second = sampler.step(torch.tensor(-1.0), 750.0, first)
    assert (first.item(), second.item()) == (3.5, 4.25)
    assert sampler.inverse_step(torch.tensor(-1.0), 750.0, second).item() == 3.5
    assert sampler.inverse_step(torch.tensor(2.0), 1000.0, first).item() == 4.0


def test_what_a_step_foresees_by_hand():
    """σ = 0.75 at 750: 3.5 − 0.75·(−1) = 4.25, which the last step leads to as well."""
    sampler = FlowSchedule(shift=3.0).sampler(2)
    v, x = torch.tensor(-1.0), torch.tensor(3.5)
    assert sampler.foreseen(v, 750.0, x).item() == sampler.step(v, 750.0, x).item() == 4.25


def test_a_straight_flow_is_sampled_exactly_and_back():
    """v̂ = n − z everywhere: any number of steps leads from n to z, and inversion back to n."""
    z, n = torch.randn(2, 1, 4, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    sampler = FlowSchedule(shift=5.0).sampler(7)
    latents = n
    for timestep in sampler.timesteps:
        latents = sampler.step(n - z, timestep, latents)
    torch.testing.assert_close(latents, z)
    for timestep in reversed(sampler.timesteps):
        latents = sampler.inverse_step(n - z, timestep, latents)
    torch.testing.assert_close(latents, n)


@pytest.mark.parametrize("steps", [0, 1001])
def test_numbers_of_steps_that_there_are_not(steps: int):
    with pytest.raises(SettingsError, match="1 to 1000"):
        FlowSchedule(shift=3.0).sampler(steps)
