"""Motion Inversion on both backbones at tiny size: what is trained, where, on which loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import UNet3DConditionModel

from motion_core.adapter_files.own import load_adapter, save_adapter
from motion_core.adapters.embedding.adapter import EmbeddingAdapter
from motion_core.adapters.embedding.sites import Position
from motion_core.adapters.embedding.training import Design, EmbeddingPlan
from motion_core.backbones.base import Backbone
from motion_core.backbones.checkpointing import gradient_checkpointing
from motion_core.diffusion.generate import apply_adapters
from motion_core.diffusion.noise import draw_noise
from motion_core.errors import ClipError, SettingsError
from motion_core.methods.base import Attached
from motion_core.methods.losses import debiased_mse, mse
from motion_core.methods.motion_inversion import (
    MotionInversion,
    MotionInversionSettings,
    chosen_sites,
)
from motion_core.methods.parts import training
from motion_core.settings import from_mapping
from motion_core.training.results import adapter_info
from motion_core.training.settings import TrainSettings
from motion_core.training.trainer import train
from motion_core.types import Batch, LatentClip

from ..runs import batch_of, latent_clip
from ..tiny import tiny_animatediff, tiny_zeroscope

BACKBONES = [tiny_animatediff, tiny_zeroscope]
HYBRID = MotionInversionSettings(loss="debiased_hybrid", rank=2, dropout=0.0, spatial_dropout_p=0.0)
QUIET = {
    loss: dataclasses.replace(HYBRID, loss=loss)
    for loss in ("base", "debiased_temporal", "motion_distillation")
}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stir(attached: Attached, group: str) -> None:
    with torch.no_grad():
        for parameter in attached.groups[group].parameters:
            parameter.add_(torch.randn(parameter.shape, generator=rng(9)))


def loss_values(attached: Attached, batch: Batch, seed: int = 0) -> dict[str, float]:
    return {term.name: term.value.item() for term in attached.passes(batch, rng(seed))}


@pytest.mark.parametrize("make", BACKBONES)
def test_losses_of_zeros_are_the_bases(make: Callable[..., Backbone]) -> None:
    """Eq. 4; with debiasing MotionDirector's Eq. 7, its anchors drawn after; in the hybrid, first
    one frame of the same noisy latents. VMC's: 1 - cos of |δ| along the frames, as of
    loss/motion_distillation_loss.py.
    """
    backbone, clip = make(prediction_type="v_prediction"), latent_clip()
    losses = {}
    for settings in (*QUIET.values(), HYBRID):
        with MotionInversion(settings).attach(backbone, [clip], rng(5)) as attached:
            losses[settings.loss] = loss_values(attached, batch_of(clip, draws=2), seed=3)
    draws, latents = rng(3), clip.latents.repeat(2, 1, 1, 1, 1)
    embeds = clip.prompt_embeds.repeat(2, 1, 1)
    timesteps = backbone.schedule.draw_timesteps(2, draws)
    noise = draw_noise(latents.shape, draws, "cpu")
    noisy = backbone.schedule.noised(latents, noise, timesteps)
    target = backbone.schedule.target(latents, noise, timesteps)
    after_noise = draws.get_state()

    with torch.no_grad():
        pred = backbone.predict(noisy, timesteps, embeds)
    anchors = torch.randint(3, (2,), generator=draws)
    debiased = mse(pred, target) + debiased_mse(pred, target, anchors, 1.0)
    assert losses["base"] == {"temporal": pytest.approx(mse(pred, target).item(), rel=1e-6)}
    assert losses["debiased_temporal"] == {"temporal": pytest.approx(debiased.item(), rel=1e-6)}

    changes = [(x[:, :, 1:] - x[:, :, :-1]).abs() for x in (pred, target)]
    dots = (changes[0] * changes[1]).sum(2)
    cosines = dots / (changes[0].norm(dim=2) * changes[1].norm(dim=2))
    distance = 1 - cosines.mean().item()
    assert losses["motion_distillation"] == {"temporal": pytest.approx(distance, rel=1e-5)}

    draws.set_state(after_noise)
    torch.rand((), generator=draws)
    i, j = torch.randint(3, (2,), generator=draws).tolist()
    frame = torch.stack([noisy[0, :, i : i + 1], noisy[1, :, j : j + 1]])
    frame_target = torch.stack([target[0, :, i : i + 1], target[1, :, j : j + 1]])
    with torch.no_grad():
        spatial = mse(backbone.predict(frame, timesteps, embeds), frame_target)
    anchors = torch.randint(3, (2,), generator=draws)
    debiased = mse(pred, target) + debiased_mse(pred, target, anchors, 1.0)
    assert losses["debiased_hybrid"] == {
        "spatial": pytest.approx(spatial.item(), rel=1e-6),
        "temporal": pytest.approx(debiased.item(), rel=1e-6),
    }


def test_the_hybrids_spatial_lora_is_its_videos_and_drops_out() -> None:
    backbone, clips = tiny_zeroscope(), [latent_clip(seed=0), latent_clip(seed=1)]
    with MotionInversion(HYBRID).attach(backbone, clips, rng()) as attached, torch.no_grad():
        assert list(attached.groups) == ["temporal", "spatial.0", "spatial.1"]
        start = loss_values(attached, batch_of(clips[0]))
        stir(attached, "spatial.1")
        assert loss_values(attached, batch_of(clips[0])) == start
        stir(attached, "spatial.0")
        changed = loss_values(attached, batch_of(clips[0]))
        assert changed["spatial"] != start["spatial"]
        assert changed["temporal"] != start["temporal"]
    without = dataclasses.replace(HYBRID, spatial_dropout_p=1.0)
    with MotionInversion(without).attach(backbone, clips, rng()) as attached, torch.no_grad():
        before = loss_values(attached, batch_of(clips[0]))
        stir(attached, "spatial.0")
        assert list(before) == ["temporal"]
        assert loss_values(attached, batch_of(clips[0])) == before


@pytest.mark.parametrize("make", BACKBONES)
def test_recomputed_blocks_still_have_the_embedding(make: Callable[[], Backbone]) -> None:
    """With checkpointing the loss is the same bit for bit, and so are the gradients but for
    rounding.
    """
    backbone, clip, grads = make(), latent_clip(), []
    with MotionInversion(QUIET["base"]).attach(backbone, [clip], rng()) as attached:
        stir(attached, "temporal")
        parameters = list(attached.groups["temporal"].parameters)

        def step() -> float:
            term = next(passes := attached.passes(batch_of(clip, draws=2), rng(3)))
            grads.append(torch.autograd.grad(term.value, parameters))
            passes.close()
            return term.value.item()

        plain = step()
        with gradient_checkpointing(backbone.network):
            assert step() == plain
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("make", BACKBONES)
def test_exported_embedding_predicts_as_the_trained_model_did(
    make: Callable[[], Backbone],
) -> None:
    """Training does not debias: the export as it was learned has the pass's loss; by default it is
    debiased (Eq. 5), and has another.
    """
    backbone, clip = make(), latent_clip()
    with MotionInversion().attach(backbone, [clip], rng()) as attached, torch.no_grad():
        stir(attached, "temporal")
        trained = loss_values(attached, batch_of(clip))
        adapter = attached.adapters()["temporal"]
    assert isinstance(adapter, EmbeddingAdapter)
    assert adapter.debias == "difference"
    with MotionInversion().attach(backbone, [clip], rng()) as attached, torch.no_grad():
        with dataclasses.replace(adapter, debias="none").applied(backbone, 1.0):
            assert loss_values(attached, batch_of(clip)) == trained
        with adapter.applied(backbone, 1.0):
            assert loss_values(attached, batch_of(clip)) != trained


@pytest.mark.parametrize("make", BACKBONES)
def test_a_run_learns_and_its_file_plays(make: Callable[[], Backbone], tmp_path: Path) -> None:
    """From zero, AdamW's first step has the size of the learning rate, 0.02, at every element that
    has a gradient. Its second, (0.474 g1 + 0.526 g2) / sqrt((g1² + g2²) / 2), is at most 1.002
    times as large: two stay within 0.0401.
    """
    backbone, clip = make(), latent_clip()
    method, settings = MotionInversion(), TrainSettings(steps=2, save_every=0)
    result = train(backbone, [clip], method, settings, tmp_path / "run")
    info = adapter_info(backbone, [clip], method, settings, result.adapters, result.steps)
    save_adapter(tmp_path / "a.safetensors", result.adapters, info)
    info, adapters = load_adapter(tmp_path / "a.safetensors")
    assert (info.method, info.parametrisation, info.rank) == ("motion_inversion", "embedding", None)
    assert info.sites == ("temporal.attn1", "temporal.attn2")
    for values in adapters["temporal"].state_dict().values():
        assert 0.019 < values.abs().max() <= 0.0401


@pytest.mark.parametrize("qk", ["1d", "2d"])
@pytest.mark.parametrize("v", ["1d", "2d"])
def test_designs(qk: Design, v: Design) -> None:
    """Sec. 4.3, (a) to (d): 4x4 latents, 3 frames, 8 channels at the finest level."""
    backbone, clip = tiny_zeroscope(), latent_clip()
    shapes = {"1d": (1, 1, 3, 8), "2d": (4, 4, 3, 8)}
    settings = MotionInversionSettings(qk=qk, v=v)
    with MotionInversion(settings).attach(backbone, [clip], rng()) as attached:
        group = attached.groups["temporal"]
        assert [p.shape for p in group.parameters] == [shapes[qk], shapes[v], shapes[v]] * 3
        assert (group.learning_rate, group.weight_decay) == (0.02, 1e-2)
        (term,) = attached.passes(batch_of(clip), rng())
        term.value.backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in group.parameters)


def test_queries_and_keys_alone() -> None:
    """m_QK of the three blocks is all that is trained; the file has an m_V of 0, which adds nothing
    with any debias.
    """
    backbone, clip = tiny_zeroscope(), latent_clip()
    method = MotionInversion(MotionInversionSettings(v="none"))
    assert method.trained(backbone, [clip]) == {"temporal": 3 * 3 * 8}
    with method.attach(backbone, [clip], rng()) as attached:
        group = attached.groups["temporal"]
        assert [p.shape for p in group.parameters] == [(1, 1, 3, 8)] * 3
        (term,) = attached.passes(batch_of(clip), rng())
        term.value.backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in group.parameters)
        stir(attached, "temporal")
        with torch.no_grad(), training(attached.groups, "temporal"):
            trained = backbone.predict(clip.latents, torch.tensor([500]), clip.prompt_embeds)
        adapter = attached.adapters()["temporal"]
    assert isinstance(adapter, EmbeddingAdapter)
    for block in adapter.blocks.values():
        assert block.qk.abs().min() > 0
        assert torch.equal(block.v1, torch.zeros(1, 1, 3, 8)) and torch.equal(block.v2, block.v1)
    for debias in ("difference", "drop_value", "none"):
        with apply_adapters(backbone, [(dataclasses.replace(adapter, debias=debias), 1.0)]):
            played = backbone.predict(clip.latents, torch.tensor([500]), clip.prompt_embeds)
        torch.testing.assert_close(played, trained)


@pytest.mark.parametrize(
    ("make", "channels", "positions", "expected"),
    [
        (tiny_zeroscope, (), ("down", "up"), {"down 8": 1, "up 8": 2}),
        (tiny_animatediff, (), ("down", "up"), {"down 16": 1, "up 16": 2}),
        (tiny_animatediff, (8,), ("up",), {"up 8": 2}),
        (tiny_zeroscope, (), ("mid",), {"mid 16": 1}),
        (
            tiny_zeroscope,
            (8, 16, 32),
            ("down", "up", "mid", "in"),
            {"down 8": 1, "up 8": 2, "mid 16": 1, "in 32": 1},
        ),
        (
            tiny_animatediff,
            (8, 16),
            ("down", "up", "mid"),
            {"down 8": 1, "down 16": 1, "up 16": 2, "up 8": 2, "mid 16": 1},
        ),
    ],
)
def test_sites_by_width_and_position(
    make: Callable[[], Backbone],
    channels: tuple[int, ...],
    positions: tuple[Position, ...],
    expected: dict[str, int],
) -> None:
    counts: dict[str, int] = {}
    for site in chosen_sites(make().network, channels, positions):
        name = f"{site.position} {site.channels}"
        counts[name] = counts.get(name, 0) + 1
    assert counts == expected


def test_full_size_sites_and_parameter_counts() -> None:
    """ZeroScope at 576x320: 40x72 latents, halved twice 10x18 = 180 positions; 5 blocks of 1280.

    m_QK: 5·N·1280. m_V: 2·5·180·N·1280. The official files have N = 32: 204,800 and 73,728,000 (the
    paper's 0.2 M and 73.7 M). Ours have the clip's 24 frames: 153,600 and 55,296,000.
    """
    with torch.device("meta"):
        unet = UNet3DConditionModel(attention_head_dim=64, cross_attention_dim=1024)
    defaults = MotionInversionSettings()
    sites = chosen_sites(unet, defaults.channels, defaults.positions)
    assert sites == chosen_sites(unet, (1280,), ("down", "up"))
    assert [site.name.removesuffix(".transformer_blocks.0") for site in sites] == [
        "down_blocks.2.temp_attentions.0",
        "down_blocks.2.temp_attentions.1",
        "up_blocks.1.temp_attentions.0",
        "up_blocks.1.temp_attentions.1",
        "up_blocks.1.temp_attentions.2",
    ]
    for frames, qk, v in ((32, 204_800, 73_728_000), (24, 153_600, 55_296_000)):
        shared = EmbeddingPlan(
            sites=sites, latents_shape=(1, 4, frames, 40, 72), qk="1d", v="1d", debias="none"
        )
        assert shared.count(unet) == 3 * qk
        assert dataclasses.replace(shared, v="2d").count(unet) == qk + v
        assert dataclasses.replace(shared, v="none").count(unet) == qk


def test_sites_that_are_not_there_are_refused() -> None:
    for channels, positions in (((640,), ("down", "up")), ((), ("in",))):
        settings = MotionInversionSettings(channels=channels, positions=positions)
        with (
            pytest.raises(SettingsError, match=r"down 8, down 16.*Change channels or positions"),
            MotionInversion(settings).attach(tiny_animatediff(), [latent_clip()], rng()),
        ):
            pass


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([], "No clips"),
        ([latent_clip(), latent_clip(frames=1, seed=3)], "clip-3.mp4 is an image"),
        ([latent_clip(frames=2), latent_clip(frames=3)], "32x32 with 2 frames, 32x32 with 3"),
    ],
)
def test_clips_that_it_cannot_learn_from(clips: list[LatentClip], message: str) -> None:
    with (
        pytest.raises(ClipError, match=message),
        MotionInversion().attach(tiny_zeroscope(), clips, rng()),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("channels", (0,)),
        ("channels", ("wide",)),
        ("positions", ()),
        ("positions", ("left",)),
        ("qk", "3d"),
        ("v", "3d"),
        ("loss", "huber"),
        ("debias", "twice"),
        ("rank", 0),
        ("dropout", 1.0),
        ("spatial_dropout_p", 1.5),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=name):
        from_mapping(MotionInversionSettings, {name: value})
