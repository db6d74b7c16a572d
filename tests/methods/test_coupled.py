"""The coupled baseline on both backbones at tiny size: one loss, both halves, nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from motion_core.backbones.base import Backbone
from motion_core.diffusion.generate import apply_adapters
from motion_core.errors import ClipError, SettingsError
from motion_core.methods.base import Attached, applied_adapters
from motion_core.methods.coupled import GROUP, Coupled, CoupledSettings
from motion_core.methods.losses import mse
from motion_core.methods.noisy_latents import draw_noisy_latents
from motion_core.settings import from_mapping, to_mapping

from ..runs import latent_clip
from ..tiny import tiny_animatediff, tiny_zeroscope
from .test_motion_director import batch_of, rng

BACKBONES = [tiny_animatediff, tiny_zeroscope]
QUIET = CoupledSettings(rank=2, dropout=0.0)


def stir(attached: Attached) -> None:
    """Moves the LoRA away from its start, where B = 0, little enough for rounding to stay small."""
    with torch.no_grad():
        for parameter in attached.groups[GROUP].parameters:
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=rng(9)))


@pytest.mark.parametrize("make", BACKBONES)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_loss_of_an_untrained_lora_is_the_bases(
    make: Callable[..., Backbone], prediction_type: str
) -> None:
    """With B = 0: the plain MSE of the base on all frames, of the same draws."""
    backbone, clip = make(prediction_type=prediction_type), latent_clip()
    batch = batch_of(clip, draws=2)
    with Coupled(QUIET).attach(backbone, [clip], rng()) as attached, torch.no_grad():
        loss = next(attached.passes(batch, rng(3))).value
    with torch.no_grad():
        noisy, timesteps, target = draw_noisy_latents(backbone, batch.latents, rng(3))
        pred = backbone.predict(noisy, timesteps, batch.prompt_embeds)
    assert loss.item() == pytest.approx(mse(pred, target).item(), rel=1e-6)


@pytest.mark.parametrize("make", BACKBONES)
def test_a_sample_applies_both_halves_as_they_were_trained(make: Callable[[], Backbone]) -> None:
    """The merged model's loss is the pass's; either half alone has another."""
    backbone, clip = make(), latent_clip()
    batch = batch_of(clip)
    with Coupled(QUIET).attach(backbone, [clip], rng()) as attached, torch.no_grad():
        stir(attached)
        trained = next(attached.passes(batch, rng())).value.item()
        adapters = attached.adapters()
    assert {name: adapter.scope for name, adapter in adapters.items()} == {
        "temporal": "temporal",
        "spatial": "spatial",
    }

    def loss(applied: list) -> float:
        with torch.no_grad(), apply_adapters(backbone, applied):
            noisy, timesteps, target = draw_noisy_latents(backbone, batch.latents, rng())
            return mse(backbone.predict(noisy, timesteps, batch.prompt_embeds), target).item()

    assert loss(applied_adapters(adapters, Coupled())) == pytest.approx(trained, rel=1e-4)
    for alone in adapters.values():
        assert loss([(alone, 1.0)]) != pytest.approx(trained, rel=1e-2)


def test_what_it_refuses() -> None:
    with pytest.raises(ClipError, match="No clips to train on"):
        Coupled().attach(tiny_animatediff(), [], rng()).__enter__()
    with pytest.raises(ClipError, match=r"clip-0\.mp4 is an image; coupled tuning"):
        Coupled().attach(tiny_animatediff(), [latent_clip(1)], rng()).__enter__()
    for name, value in {"rank": 0, "alpha": 0.0, "dropout": 1.0}.items():
        with pytest.raises(SettingsError, match=f"{name} is {value}"):
            CoupledSettings(**{name: value})


def test_registered_with_motion_directors_defaults() -> None:
    method = Coupled()
    assert to_mapping(method.settings) == {"rank": 32, "alpha": None, "dropout": 0.1}
    assert from_mapping(CoupledSettings, to_mapping(method.settings)) == method.settings
    with Coupled(QUIET).attach(tiny_animatediff(), [latent_clip()], rng()) as attached:
        group = attached.groups[GROUP]
    assert (group.learning_rate, group.weight_decay) == (5e-4, 1e-2)
