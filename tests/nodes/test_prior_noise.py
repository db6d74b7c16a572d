"""The noise prior is what the core's sampler starts from, with the frames as the batch."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from motion_adapters.nodes.prior_noise import PriorNoise, inverted_of

from motion_core.diffusion.generate import starting_noise
from motion_core.diffusion.settings import SampleSettings
from motion_core.errors import MotionError, SettingsError
from tests.tiny import tiny_animatediff

FRAMES, HEIGHT, WIDTH, SEED = 5, 32, 48, 7
LATENT = {"samples": torch.zeros(FRAMES, 4, HEIGHT // 8, WIDTH // 8)}


def inverted() -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.randn(1, 4, FRAMES, HEIGHT // 8, WIDTH // 8, generator=rng)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_it_is_the_cores_own_for_the_same_seed(p: float) -> None:
    settings = SampleSettings(frames=FRAMES, height=HEIGHT, width=WIDTH, seed=SEED, noise_prior=p)
    expected = starting_noise(tiny_animatediff(), settings, inverted())
    noise = PriorNoise(SEED, p, inverted()).generate_noise(LATENT)
    assert noise.shape == LATENT["samples"].shape
    assert torch.equal(noise, expected[0].transpose(0, 1))


def test_all_of_the_prior_is_the_inverted_noise_frame_by_frame() -> None:
    noise = PriorNoise(SEED, 1.0, inverted()).generate_noise(LATENT)
    for frame in range(FRAMES):
        assert torch.equal(noise[frame], inverted()[0, :, frame])


def test_fresh_noise_needs_no_motion_and_leaves_torchs_own_generator_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    noise = PriorNoise(SEED).generate_noise(LATENT)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(noise, PriorNoise(SEED, 0.0, None).generate_noise(LATENT))
    assert not torch.equal(noise, PriorNoise(SEED + 1).generate_noise(LATENT))


def test_another_size_is_named_in_pixels_and_frames() -> None:
    other = {"samples": torch.zeros(FRAMES + 1, 4, HEIGHT // 8, HEIGHT // 8)}
    with pytest.raises(MotionError, match=r"5 frames of 48x32 pixels; the latent has 6 .* 32x32"):
        PriorNoise(SEED, 0.5, inverted()).generate_noise(other)


def test_another_models_latent_is_named() -> None:
    other = {"samples": torch.zeros(FRAMES, 16, HEIGHT // 8, WIDTH // 8)}
    with pytest.raises(MotionError, match=r"latent has 16 channels, the inverted noise 4"):
        PriorNoise(SEED, 0.5, inverted()).generate_noise(other)


def test_motions_of_two_families_have_no_noise_in_common() -> None:
    both = [
        SimpleNamespace(name=name, info=SimpleNamespace(family=family), inverted=inverted())
        for name, family in (("spin", "animatediff"), ("jump", "zeroscope"))
    ]
    with pytest.raises(SettingsError, match="spin for animatediff and jump for zeroscope"):
        inverted_of(both, 0.5)  # type: ignore[arg-type]
    assert inverted_of(both, 0.0) is None  # type: ignore[arg-type]
    assert inverted_of(both[:1], 0.5) is not None  # type: ignore[arg-type]


def test_latents_that_are_no_batch_of_frames() -> None:
    video = {"samples": torch.zeros(1, 16, 5, 4, 4)}
    with pytest.raises(MotionError, match="frames as the batch"):
        PriorNoise(SEED).generate_noise(video)


def test_a_share_out_of_range() -> None:
    with pytest.raises(SettingsError, match=r"noise_prior is 1\.5"):
        PriorNoise(SEED, 1.5)
