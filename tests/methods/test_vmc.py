"""VMC: its loss by hand, and on both backbones at tiny size what it trains."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from motion_core.backbones.base import Backbone
from motion_core.errors import ClipError, SettingsError
from motion_core.methods.base import Attached
from motion_core.methods.noisy_latents import draw_noisy_latents
from motion_core.methods.vmc import (
    TEMPORAL,
    Vmc,
    VmcSettings,
    attention_linears,
    motion_vector_loss,
    motion_vectors,
)
from motion_core.settings import from_mapping, to_mapping

from ..runs import latent_clip
from ..tiny import tiny_animatediff, tiny_zeroscope
from .test_motion_director import batch_of, rng

BACKBONES = [tiny_animatediff, tiny_zeroscope]
SETTINGS = [VmcSettings(), VmcSettings(parametrisation="lora", rank=2)]


def video(*frames: tuple[float, ...]) -> Tensor:
    """(1, C, F, 1, 1) of frames that are lists of channels."""
    return torch.tensor(frames).T.reshape(1, len(frames[0]), len(frames), 1, 1)


def stir(attached: Attached) -> None:
    with torch.no_grad():
        for parameter in attached.groups[TEMPORAL].parameters:
            parameter.add_(torch.randn(parameter.shape, generator=rng(9)) * 0.3)


def test_motion_vectors() -> None:
    """δ_n = x_{n+1} − x_n: 1, 4, 2 gives 3, −2."""
    assert motion_vectors(video((1.0,), (4.0,), (2.0,))).flatten().tolist() == [3.0, -2.0]
    assert motion_vectors(video((1.0,), (4.0,)).half()).dtype == torch.float32


def test_losses_of_one_motion_vector() -> None:
    """δ̂ = (3, 4) and δ = (4, 3) over two channels: cos = (12 + 12) / 25, so 1 − cos = 0.04; the
    mean square is (1 + 1) / 2. Along the frames there is one number for each cell, whose cosine is
    1.
    """
    pred, target = video((1.0, 2.0), (4.0, 6.0)), video((0.0, 5.0), (4.0, 8.0))
    assert motion_vector_loss(pred, target, "cosine").item() == pytest.approx(0.04)
    assert motion_vector_loss(pred, target, "mse").item() == pytest.approx(1.0)
    assert motion_vector_loss(pred, target, "cosine_abs").item() == pytest.approx(0.0, abs=1e-6)


def test_losses_of_two_motion_vectors() -> None:
    """One channel, δ̂ = 1, −2 and δ = 2, 1. Frame by frame the cosines are 1 and −1, so that the
    mean distance is 1. Their absolute values (1, 2) and (2, 1) along the frames: cos = 4 / 5. Mean
    square: (1 + 9) / 2.
    """
    pred, target = video((0.0,), (1.0,), (-1.0,)), video((5.0,), (7.0,), (8.0,))
    assert motion_vector_loss(pred, target, "cosine").item() == pytest.approx(1.0)
    assert motion_vector_loss(pred, target, "cosine_abs").item() == pytest.approx(0.2)
    assert motion_vector_loss(pred, target, "mse").item() == pytest.approx(5.0)


def test_what_all_frames_share_does_not_count() -> None:
    """δ of x_n + a is δ of x_n, for an image a; and the cosine does not see how long δ is."""
    pred, target = torch.randn(2, 1, 4, 5, 3, 3, generator=rng())
    shared = torch.randn(1, 4, 1, 3, 3, generator=rng(1))
    for loss in ("cosine", "cosine_abs", "mse"):
        expected = motion_vector_loss(pred, target, loss)
        torch.testing.assert_close(motion_vector_loss(pred + shared, target, loss), expected)
    expected = motion_vector_loss(pred, target, "cosine")
    torch.testing.assert_close(motion_vector_loss(2 * pred, target, "cosine"), expected)


def test_it_adapts_queries_keys_and_values_of_temporal_attention() -> None:
    """Of the 10 temporal linears of a block, 2 x 3; ZeroScope's `transformer_in` has one block."""
    for make, left_out in ((tiny_animatediff, 0), (tiny_zeroscope, 1)):
        backbone = make()
        names = attention_linears(backbone)
        blocks = len(backbone.sites("temporal")) // 10
        assert len(names) == 6 * (blocks - left_out)
        assert all("attn" in name and name[-4:] in ("to_q", "to_k", "to_v") for name in names)
        assert not any(name.startswith("transformer_in") for name in names)


@pytest.mark.parametrize("make", BACKBONES)
@pytest.mark.parametrize("settings", SETTINGS)
def test_its_loss_before_training_and_of_what_is_kept(
    make: Callable[[], Backbone], settings: VmcSettings
) -> None:
    """Untrained, the pass has the base's loss; stirred, the exported adapter has the pass's."""
    backbone, clip = make(), latent_clip()
    batch = batch_of(clip, draws=2)

    def loss() -> float:
        with torch.no_grad():
            noisy, timesteps, target = draw_noisy_latents(backbone, batch.latents, rng(3))
            pred = backbone.predict(noisy, timesteps, batch.prompt_embeds)
            return motion_vector_loss(pred, target, settings.loss).item()

    base = loss()
    with Vmc(settings).attach(backbone, [clip], rng()) as attached, torch.no_grad():
        assert next(attached.passes(batch, rng(3))).value.item() == pytest.approx(base, rel=1e-6)
        stir(attached)
        passes = attached.passes(batch, rng(3))
        trained = next(passes).value.item()
        passes.close()
        assert loss() == base
        adapter = attached.adapters()[TEMPORAL]
    assert trained != pytest.approx(base, rel=1e-3)
    assert (adapter.scope, adapter.kind) == (
        "temporal",
        "lora" if settings.parametrisation == "lora" else "weights",
    )
    with adapter.applied(backbone, 1.0):
        assert loss() == pytest.approx(trained, rel=1e-4)


def test_what_it_refuses() -> None:
    with pytest.raises(ClipError, match="No clips to train on"):
        Vmc().attach(tiny_animatediff(), [], rng()).__enter__()
    with pytest.raises(ClipError, match=r"clip-0\.mp4 is an image; VMC"):
        Vmc().attach(tiny_animatediff(), [latent_clip(1)], rng()).__enter__()
    for name, value in {"rank": 0, "loss": "l1", "parametrisation": "none"}.items():
        with pytest.raises(SettingsError, match=f"{name} is {value!r}"):
            VmcSettings(**{name: value})


def test_registered_with_its_papers_defaults() -> None:
    """Learning rate 1e-4 and decay 1e-2 for whole weights; a LoRA's rate is MotionDirector's."""
    method = Vmc()
    assert to_mapping(method.settings) == {
        "loss": "cosine",
        "parametrisation": "full",
        "rank": 32,
    }
    assert from_mapping(VmcSettings, to_mapping(method.settings)) == method.settings
    for settings, rate in zip(SETTINGS, (1e-4, 5e-4), strict=True):
        with Vmc(settings).attach(tiny_animatediff(), [latent_clip()], rng()) as attached:
            group = attached.groups[TEMPORAL]
        assert (group.learning_rate, group.weight_decay) == (rate, 1e-2)
