"""MotionDirector on both backbones at tiny size: what each pass sees, what it costs and what it
trains.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from diffusers import UNet3DConditionModel
from torch import Tensor

from motion_core.backbones.base import Backbone
from motion_core.backbones.temporal import spatial_linear_names, temporal_linear_names
from motion_core.diffusion.noise import draw_noise
from motion_core.errors import ClipError, SettingsError
from motion_core.methods.base import Attached
from motion_core.methods.losses import debiased_mse, mse
from motion_core.methods.motion_director import MotionDirector, MotionDirectorSettings
from motion_core.settings import from_mapping
from motion_core.types import Batch

from ..runs import batch_of, latent_clip
from ..tiny import tiny_animatediff, tiny_zeroscope

BACKBONES = [tiny_animatediff, tiny_zeroscope]
QUIET = MotionDirectorSettings(rank=2, dropout=0.0, spatial_dropout_p=0.0)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stir(attached: Attached, group: str) -> None:
    """Moves a LoRA away from its start, where B = 0 makes it the identity and keeps A without
    gradient.
    """
    with torch.no_grad():
        for parameter in attached.groups[group].parameters:
            parameter.add_(torch.randn(parameter.shape, generator=rng(9)))


def loss_values(attached: Attached, batch: Batch, seed: int = 0) -> dict[str, float]:
    return {term.name: term.value.item() for term in attached.passes(batch, rng(seed))}


@pytest.mark.parametrize("make", BACKBONES)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_losses_of_an_untrained_adapter_are_the_bases(
    make: Callable[..., Backbone], prediction_type: str
) -> None:
    """With B = 0 the predictions are the base's: Eq. 4 on frame i and Eq. 7 on all frames, at the
    same t and noise.
    """
    backbone, clip = make(prediction_type=prediction_type), latent_clip()
    with MotionDirector(QUIET).attach(backbone, [clip], rng(5)) as attached:
        losses = loss_values(attached, batch_of(clip, draws=2), seed=3)
    draws, latents = rng(3), clip.latents.repeat(2, 1, 1, 1, 1)
    embeds = clip.prompt_embeds.repeat(2, 1, 1)
    timesteps = backbone.schedule.draw_timesteps(2, draws)
    noise = draw_noise(latents.shape, draws, "cpu")
    noisy = backbone.schedule.noised(latents, noise, timesteps)
    target = backbone.schedule.target(latents, noise, timesteps)
    torch.rand((), generator=draws)
    i, j = torch.randint(3, (2,), generator=draws).tolist()
    frame = torch.stack([noisy[0, :, i : i + 1], noisy[1, :, j : j + 1]])
    frame_target = torch.stack([target[0, :, i : i + 1], target[1, :, j : j + 1]])
    spatial = mse(backbone.predict(frame, timesteps, embeds), frame_target)
    assert losses["spatial"] == pytest.approx(spatial.item(), rel=1e-6)
    anchors = torch.randint(3, (2,), generator=draws)
    pred = backbone.predict(noisy, timesteps, embeds)
    expected = mse(pred, target) + debiased_mse(pred, target, anchors, 1.0)
    assert losses["temporal"] == pytest.approx(expected.item(), rel=1e-6)


def test_plain_loss_and_zero_beta() -> None:
    """With β = 0, φ is the identity, so Eq. 7 is twice the plain loss of the same draw."""
    backbone, clip, values = tiny_animatediff(), latent_clip(), {}
    for name, changes in {"plain": {"loss": "plain"}, "zero": {"beta": 0.0}}.items():
        settings = dataclasses.replace(QUIET, **changes)
        with MotionDirector(settings).attach(backbone, [clip], rng()) as attached:
            values[name] = loss_values(attached, batch_of(clip))["temporal"]
    assert values["zero"] == pytest.approx(2 * values["plain"])


def test_first_anchor_draws_none() -> None:
    """The anchor is frame 0 whatever the generator's next number is; a random one is another frame
    in some draw.
    """
    backbone, clip = tiny_animatediff(), latent_clip()
    settings = dataclasses.replace(QUIET, anchor="first")
    with (
        MotionDirector(settings).attach(backbone, [clip], rng()) as attached,
        torch.no_grad(),
    ):
        pred, target = torch.randn(2, 1, 4, 3, 4, 4, generator=rng())
        losses = {attached.passes._temporal_loss(pred, target, rng(s)).item() for s in range(8)}
    expected = mse(pred, target) + debiased_mse(pred, target, torch.tensor([0]), 1.0)
    assert losses == {expected.item()}


def own_loss(
    settings: MotionDirectorSettings, pred: Tensor, target: Tensor, seed: int = 0
) -> float:
    """The second pass's loss of these tensors."""
    with MotionDirector(settings).attach(tiny_animatediff(), [latent_clip()], rng()) as attached:
        return attached.passes._temporal_loss(pred, target, rng(seed)).item()


def video(*frames: float) -> Tensor:
    """One video, one channel, one latent cell: (1, 1, F, 1, 1)."""
    return torch.tensor(frames).view(1, 1, -1, 1, 1)


def test_cosine_loss_by_hand() -> None:
    """Follow-Your-Motion: of ε̂ = (0, 1, 3) and ε = (0, 2, 2) the mean of squares is (0 + 1 + 1)/3;
    frames differ by |(1, 2)| and |(2, 0)|, whose cosine is 2/(√5·2).
    """
    settings = dataclasses.replace(QUIET, loss="cosine")
    loss = own_loss(settings, video(0.0, 1.0, 3.0), video(0.0, 2.0, 2.0))
    assert loss == pytest.approx(2 / 3 + 1 - 1 / math.sqrt(5), rel=1e-6)


def test_offset_noise_by_hand() -> None:
    """JointTuner: with ε̂ = ε and s = 2 the plain loss is (2η)², η the generator's next number; the
    debiased one has φ(2η) = (√2 - 1)·2η beside, of frames that all share it.
    """
    plain, still = dataclasses.replace(QUIET, loss="plain", offset_noise=2.0), video(1.0, 1.0)
    eta = torch.randn((), generator=rng(3)).item()
    assert own_loss(plain, still, still, seed=3) == pytest.approx((2 * eta) ** 2, rel=1e-5)
    debiased = dataclasses.replace(plain, loss="debiased", anchor="first")
    expected = (2 * eta) ** 2 * (1 + (math.sqrt(2) - 1) ** 2)
    assert own_loss(debiased, still, still, seed=3) == pytest.approx(expected, rel=1e-5)


def test_without_an_offset_none_is_drawn() -> None:
    """So that trainings go on as they did before there was one."""
    plain, still, draws = dataclasses.replace(QUIET, loss="plain"), video(1.0, 1.0), rng(3)
    with MotionDirector(plain).attach(tiny_animatediff(), [latent_clip()], rng()) as attached:
        assert attached.passes._temporal_loss(still, still, draws).item() == 0.0
    assert torch.equal(draws.get_state(), rng(3).get_state())


@pytest.mark.parametrize("make", BACKBONES)
def test_motion_on_queries_and_keys_alone(make: Callable[[], Backbone]) -> None:
    """SMA: of the four projections of each temporal attention two, and no feed-forward; the spatial
    LoRA is as before.
    """
    backbone = make()
    alone = dataclasses.replace(QUIET, motion_layers="queries_keys")
    every, some = (
        {name: plan.linears for group in groups.values() for name, plan in group.parts.items()}
        for groups in (MotionDirector(s).groups(backbone, [latent_clip()]) for s in (QUIET, alone))
    )
    attentions = {name.rsplit(".to_q", 1)[0] for name in every["temporal"] if ".to_q" in name}
    assert set(some["temporal"]) == {f"{a}.{p}" for a in attentions for p in ("to_q", "to_k")}
    assert len(some["temporal"]) == 2 * len(attentions) < len(every["temporal"])
    assert some["spatial.0"] == every["spatial.0"]


@pytest.mark.parametrize("make", BACKBONES)
def test_temporal_pass_sees_its_own_videos_spatial_lora(make: Callable[[], Backbone]) -> None:
    backbone, clips = make(), [latent_clip(seed=0), latent_clip(seed=1)]
    with MotionDirector(QUIET).attach(backbone, clips, rng()) as attached, torch.no_grad():
        start = loss_values(attached, batch_of(clips[0]))
        stir(attached, "spatial.1")
        assert loss_values(attached, batch_of(clips[0])) == start
        stir(attached, "temporal")
        with_temporal = loss_values(attached, batch_of(clips[0]))
        assert with_temporal["temporal"] != start["temporal"]
        assert with_temporal["spatial"] == start["spatial"]
        stir(attached, "spatial.0")
        with_spatial = loss_values(attached, batch_of(clips[0]))
        assert with_spatial["temporal"] != with_temporal["temporal"]
        assert with_spatial["spatial"] != start["spatial"]


def test_spatial_dropout_leaves_the_spatial_lora_out_of_the_step() -> None:
    backbone, clip = tiny_zeroscope(), latent_clip()
    settings = dataclasses.replace(QUIET, spatial_dropout_p=1.0)
    with MotionDirector(settings).attach(backbone, [clip], rng()) as attached, torch.no_grad():
        before = loss_values(attached, batch_of(clip))
        stir(attached, "spatial.0")
        after = loss_values(attached, batch_of(clip))
    assert list(before) == ["temporal"]
    assert after == before


def test_spatial_dropout_comes_as_often_as_it_should() -> None:
    """p = 0.2 over 50 steps: 10 expected, standard deviation sqrt(50·0.2·0.8) = 2.8; 2 to 18 is 2.8
    of them.
    """
    backbone, clip = tiny_animatediff(), latent_clip(frames=2)
    settings = dataclasses.replace(QUIET, rank=1, spatial_dropout_p=0.2)
    draws = rng(1)
    with MotionDirector(settings).attach(backbone, [clip], rng()) as attached, torch.no_grad():
        firsts = [next(attached.passes(batch_of(clip), draws)).name for _ in range(50)]
    assert 2 <= firsts.count("temporal") <= 18


def test_images_train_one_spatial_lora_and_nothing_else() -> None:
    backbone, images = tiny_animatediff(), [latent_clip(1, seed=0), latent_clip(1, seed=1)]
    settings = dataclasses.replace(QUIET, spatial_dropout_p=1.0)
    with MotionDirector(settings).attach(backbone, images, rng()) as attached:
        assert list(attached.groups) == ["spatial.0"]
        assert attached.groups["spatial.0"].weight_decay == 1e-4
        terms = [term for term in attached.passes(batch_of(images[1], 1), rng())]
        assert [(term.name, term.group) for term in terms] == [("spatial", "spatial.0")]
        assert list(attached.adapters()) == ["spatial.0"]


def test_videos_and_images_together() -> None:
    backbone = tiny_animatediff()
    clips = [latent_clip(3, seed=0), latent_clip(1, seed=1), latent_clip(1, seed=2)]
    with MotionDirector(QUIET).attach(backbone, clips, rng()) as attached:
        assert list(attached.groups) == ["spatial.0", "spatial.1", "temporal"]
        terms = [term.group for term in attached.passes(batch_of(clips[2], 2), rng())]
    assert terms == ["spatial.1"]


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_images_are_mirrored_before_noise_is_added(probability: float) -> None:
    """p = 1 on an image is p = 0 on the mirrored image, draw by draw."""
    backbone, image = tiny_animatediff(), latent_clip(1)
    mirrored = dataclasses.replace(image, latents=image.latents.flip(-1))
    settings = dataclasses.replace(QUIET, image_hflip_p=probability)
    other = dataclasses.replace(QUIET, image_hflip_p=1.0 - probability)
    with MotionDirector(settings).attach(backbone, [image], rng()) as attached:
        loss = loss_values(attached, batch_of(image))
    with MotionDirector(other).attach(backbone, [image], rng()) as attached:
        assert loss_values(attached, batch_of(mirrored)) == loss
        assert loss_values(attached, batch_of(image)) != loss


def test_videos_are_never_mirrored() -> None:
    backbone, clip, losses = tiny_animatediff(), latent_clip(), []
    for probability in (0.0, 1.0):
        settings = dataclasses.replace(QUIET, image_hflip_p=probability)
        with MotionDirector(settings).attach(backbone, [clip], rng()) as attached:
            losses.append(loss_values(attached, batch_of(clip)))
    assert losses[0] == losses[1]


def test_weight_decay_of_one_video_and_of_several() -> None:
    backbone, clips = tiny_animatediff(), [latent_clip(seed=0), latent_clip(seed=1)]
    for chosen, decay in ((clips[:1], 1e-2), (clips, 1e-4)):
        with MotionDirector(QUIET).attach(backbone, chosen, rng()) as attached:
            groups = attached.groups.values()
            assert {group.weight_decay for group in groups} == {decay}
            assert {group.learning_rate for group in groups} == {5e-4}


def test_windows_of_one_video_share_their_looks() -> None:
    """Three windows are one video: one spatial LoRA, decay 1e-2. With a video and an image more, of
    which neither is a window of it: three looks, decay 1e-4.
    """
    backbone = tiny_animatediff()
    windows = [latent_clip(frames=2, seed=seed, video="car") for seed in range(3)]
    more = [latent_clip(frames=2, seed=3), latent_clip(frames=1, seed=4)]
    with MotionDirector(QUIET).attach(backbone, windows, rng()) as attached:
        assert list(attached.groups) == ["spatial.0", "temporal"]
        assert {group.weight_decay for group in attached.groups.values()} == {1e-2}
        terms = [term.group for term in attached.passes(batch_of(windows[2], 2), rng())]
        assert terms == ["spatial.0", "temporal"]
    with MotionDirector(QUIET).attach(backbone, [*more, *windows], rng()) as attached:
        assert list(attached.groups) == ["spatial.0", "spatial.1", "spatial.2", "temporal"]
        assert {group.weight_decay for group in attached.groups.values()} == {1e-4}
        terms = [term.group for term in attached.passes(batch_of(windows[2], 4), rng())]
        assert terms == ["spatial.2", "temporal"]


def test_only_adapters_drop() -> None:
    """The base stays in eval mode, yet two passes of one seed differ by the LoRA's dropout."""
    backbone, clip = tiny_zeroscope(), latent_clip()
    settings = dataclasses.replace(QUIET, dropout=0.5)
    with MotionDirector(settings).attach(backbone, [clip], rng()) as attached, torch.no_grad():
        untrained = [loss_values(attached, batch_of(clip)) for _ in range(2)]
        stir(attached, "temporal")
        trained = [loss_values(attached, batch_of(clip))["temporal"] for _ in range(2)]
    assert untrained[0] == untrained[1]
    assert trained[0] != trained[1]


def test_full_size_parameter_counts() -> None:
    """Sec. 4.4: on ZeroScope, rank 32, about 9 M spatial and 12 M temporal parameters; r·(in + out)
    a layer.
    """
    with torch.device("meta"):
        unet = UNet3DConditionModel(attention_head_dim=64, cross_attention_dim=1024)

    def count(names: Sequence[str]) -> int:
        linears = [unet.get_submodule(name) for name in names]
        return sum(32 * (int(x.in_features) + int(x.out_features)) for x in linears)  # type: ignore[arg-type]

    assert 8.5e6 < count(spatial_linear_names(unet)) < 9.5e6
    assert 11.5e6 < count(temporal_linear_names(unet)) < 12.5e6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rank", 0),
        ("alpha", 0.0),
        ("dropout", 1.0),
        ("loss", "huber"),
        ("beta", -1.0),
        ("anchor", "last"),
        ("spatial_dropout_p", 1.5),
        ("image_hflip_p", -0.1),
        ("motion_layers", "values"),
        ("offset_noise", -1.0),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=name):
        from_mapping(MotionDirectorSettings, {name: value})


def test_no_clips_are_refused() -> None:
    with (
        pytest.raises(ClipError, match="No clips"),
        MotionDirector(QUIET).attach(tiny_animatediff(), [], rng()),
    ):
        pass
