"""MoTrans on both backbones at tiny size: what each stage sees, costs and trains."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from motion_core.adapter_files.own import load_adapter, save_adapter
from motion_core.adapters.injector import InjectorAdapter, injected
from motion_core.adapters.verb.adapter import VerbAdapter, residual
from motion_core.backbones.base import Backbone
from motion_core.diffusion.encoding import encode_prompts
from motion_core.diffusion.noise import draw_noise
from motion_core.errors import ClipError, SettingsError
from motion_core.methods.base import Attached, applied_names
from motion_core.methods.losses import mse
from motion_core.methods.motrans.method import MoTrans, MoTransSettings
from motion_core.settings import from_mapping, to_mapping
from motion_core.training.results import adapter_info
from motion_core.training.settings import TrainSettings
from motion_core.training.trainer import train
from motion_core.types import Batch, LatentClip

from ...runs import batch_of, latent_clip
from ...tiny import PROMPT_DIM, tiny_animatediff, tiny_zeroscope

BACKBONES = [tiny_animatediff, tiny_zeroscope]
WIDTH = 5
VERB = 3  # "jumping" after start, "a" and "cat"
QUIET = MoTransSettings(rank=2, dropout=0.0, appearance_steps=10)
FIRST, SECOND = 0, 10  # a step of each stage


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def video(seed: int = 0, frames: int = 3, prompt: str = "a cat jumping high") -> LatentClip:
    embeds = torch.randn(frames, WIDTH, generator=rng(seed + 50))
    return dataclasses.replace(latent_clip(frames, seed), prompt=prompt, image_embeds=embeds)


def stir(attached: Attached, group: str) -> None:
    """Moves a group away from its start, where B, W2 and W_p are zero."""
    with torch.no_grad():
        for parameter in attached.groups[group].parameters:
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=rng(9)))


def loss_of(attached: Attached, batch: Batch, seed: int = 0) -> float:
    (term,) = attached.passes(batch, rng(seed))
    return term.value.item()


@pytest.mark.parametrize("make", BACKBONES)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_first_stage_is_equation_1(make: Callable[..., Backbone], prediction_type: str) -> None:
    """With B = 0 the prediction is the base's: of one random frame of each draw, under the
    recaptioned prompt.
    """
    backbone, clip = make(prediction_type=prediction_type), video()
    recaption = "a grey cat with a red collar jumping high"
    settings = dataclasses.replace(QUIET, recaptions=(recaption,))
    with MoTrans(settings).attach(backbone, [clip], rng()) as attached:
        loss = loss_of(attached, batch_of(clip, step=FIRST, draws=2), seed=3)
    draws = rng(3)
    i, j = torch.randint(3, (2,), generator=draws).tolist()
    frame = torch.cat([clip.latents[:, :, i : i + 1], clip.latents[:, :, j : j + 1]])
    embeds = encode_prompts(backbone, [recaption]).repeat(2, 1, 1)
    timesteps = backbone.schedule.draw_timesteps(2, draws)
    noise = draw_noise(frame.shape, draws, "cpu")
    noisy = backbone.schedule.noised(frame, noise, timesteps)
    target = backbone.schedule.target(frame, noise, timesteps)
    expected = mse(backbone.predict(noisy, timesteps, embeds), target)
    assert loss == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("make", BACKBONES)
@pytest.mark.parametrize(("norm", "count"), [("sum", 1), ("mean", PROMPT_DIM)])
def test_the_second_stage_is_equation_7(
    make: Callable[..., Backbone], norm: str, count: int
) -> None:
    """MSE on all frames, with E_b + E_r at the verb, the injector's random frame of each draw, plus
    λ·Σ E_r² (or the mean, an eighth of it).
    """
    backbone, clip = make(), video()
    changes = {"residual_weight": 2.0, "residual_norm": norm}
    settings = dataclasses.replace(QUIET, **changes)  # type: ignore[arg-type]
    with MoTrans(settings).attach(backbone, [clip], rng()) as attached:
        with torch.no_grad():
            for part in ("injector", "verb"):
                for weight in attached.groups["temporal"].parts[part].parameters:
                    weight.add_(0.3 * torch.randn(weight.shape, generator=rng(4)))
        trained = attached.adapters()["injector"], attached.adapters()["verb"]
        loss = loss_of(attached, batch_of(clip, step=SECOND, draws=2), seed=3)
    draws, latents = rng(3), clip.latents.repeat(2, 1, 1, 1, 1)
    timesteps = backbone.schedule.draw_timesteps(2, draws)
    noise = draw_noise(latents.shape, draws, "cpu")
    noisy = backbone.schedule.noised(latents, noise, timesteps)
    target = backbone.schedule.target(latents, noise, timesteps)
    assert clip.image_embeds is not None
    seen = clip.image_embeds[torch.randint(3, (2,), generator=draws)]
    change = residual(
        trained[1].w1, trained[1].w2, clip.image_embeds.mean(0), clip.prompt_embeds[0, VERB]
    )
    embeds = clip.prompt_embeds.repeat(2, 1, 1)
    embeds[:, VERB] += change
    with injected(backbone.network, trained[0].weights, seen, "add"), torch.no_grad():
        pred = backbone.predict(noisy, timesteps, embeds)
    expected = mse(pred, target) + 2.0 * change.square().sum() / count
    assert loss == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("make", BACKBONES)
@torch.no_grad()
def test_the_second_stage_sees_its_own_videos_looks(make: Callable[[], Backbone]) -> None:
    backbone, clips = make(), [video(0), video(1)]
    with MoTrans(QUIET).attach(backbone, clips, rng()) as attached:
        start = loss_of(attached, batch_of(clips[0], step=SECOND))
        stir(attached, "spatial.1")
        assert loss_of(attached, batch_of(clips[0], step=SECOND)) == start
        stir(attached, "spatial.0")
        assert loss_of(attached, batch_of(clips[0], step=SECOND)) != start
        first = loss_of(attached, batch_of(clips[0], step=FIRST))
        stir(attached, "temporal")
        assert loss_of(attached, batch_of(clips[0], step=FIRST)) == first


def test_without_a_recaption_the_own_prompt_is_used_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backbone, clip = tiny_animatediff(), video()
    with (
        caplog.at_level(logging.INFO),
        MoTrans(QUIET).attach(backbone, [clip], rng()) as attached,
    ):
        assert "No recaption was given" in caplog.text
        own = loss_of(attached, batch_of(clip, step=FIRST))
    settings = dataclasses.replace(QUIET, recaptions=("another",))
    with MoTrans(settings).attach(backbone, [clip], rng()) as attached:
        assert loss_of(attached, batch_of(clip, step=FIRST)) != own


def test_each_video_has_its_recaption_and_windows_share_it() -> None:
    """Two windows of one video and another video: two recaptions, in the videos' order."""
    backbone = tiny_animatediff()
    windows = [dataclasses.replace(video(seed), video="car") for seed in (0, 1)]
    clips = [*windows, video(2)]
    texts = ("a red car", "a blue bird")
    settings = dataclasses.replace(QUIET, recaptions=texts)
    with MoTrans(settings).attach(backbone, clips, rng()) as attached:
        seen = [clip.recaption_embeds for clip in attached.passes.clips]
    car, bird = (encode_prompts(backbone, [text]) for text in texts)
    assert all(torch.equal(*pair) for pair in zip(seen, (car, car, bird), strict=True))
    three = dataclasses.replace(QUIET, recaptions=("a", "b", "c"))
    with (
        pytest.raises(SettingsError, match="3 recaptions for 2 videos"),
        MoTrans(three).attach(backbone, clips, rng()),
    ):
        pass


@torch.no_grad()
def test_what_is_learned_is_kept_and_applied(tmp_path: Path) -> None:
    """The file gives back all parts. A sample makes use of LoRA and enhancer; the injector, which
    holds no image, changes nothing. The enhancer's ψ is the mean over both videos.
    """
    backbone, clips = tiny_animatediff(), [video(0), video(1, prompt="a dog jumps")]
    method = MoTrans(QUIET)
    with method.attach(backbone, clips, rng()) as attached:
        for group in attached.groups:
            stir(attached, group)
        made = attached.adapters()
    assert applied_names(made, method) == ("temporal", "injector", "verb")
    info = adapter_info(backbone, clips, method, TrainSettings(steps=11), made, 11)
    save_adapter(tmp_path / "a.safetensors", made, info)
    _, loaded = load_adapter(tmp_path / "a.safetensors")
    assert set(loaded) == {"spatial.0", "spatial.1", "temporal", "verb", "injector"}
    verb, injector = loaded["verb"], loaded["injector"]
    assert isinstance(verb, VerbAdapter) and isinstance(injector, InjectorAdapter)
    assert (verb.verb, verb.frozen) == ("jumping", False)
    frames = [clip.image_embeds for clip in clips if clip.image_embeds is not None]
    mean = (frames[0].mean(0) + frames[1].mean(0)) / 2
    torch.testing.assert_close(verb.video_embed, mean)
    expected = residual(verb.w1, verb.w2, mean, clips[0].prompt_embeds[0, VERB])
    torch.testing.assert_close(verb.residual, expected)
    before = backbone.text.encode(["a fox jumping"])
    noisy, t = torch.randn(1, 4, 3, 4, 4, generator=rng(1)), torch.tensor([500])
    base = backbone.predict(noisy, t, before)
    with verb.applied(backbone, 1.0), injector.applied(backbone, 1.0):
        assert not torch.equal(backbone.text.encode(["a fox jumping"]), before)
        assert torch.equal(backbone.predict(noisy, t, before), base)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"injection": "none"}, ["spatial.0", "temporal", "verb"]),
        ({"enhancer": "none"}, ["spatial.0", "temporal", "injector"]),
        ({"injection": "none", "enhancer": "none"}, ["spatial.0", "temporal"]),
    ],
)
def test_ablations_leave_their_part_out(changes: dict[str, str], names: list[str]) -> None:
    """Nothing is asked for that no part needs: neither a verb nor image embeddings."""
    backbone = tiny_zeroscope()
    clip = video() if "enhancer" not in changes else video(prompt="a cat")
    if len(changes) == 2:
        clip = dataclasses.replace(clip, image_embeds=None)
    settings = dataclasses.replace(QUIET, **changes)  # type: ignore[arg-type]
    with MoTrans(settings).attach(backbone, [clip], rng()) as attached:
        assert list(attached.adapters()) == names
        assert [t.group for t in attached.passes(batch_of(clip, step=SECOND), rng())] == [
            "temporal"
        ]


def test_images_learn_looks_only_whatever_the_step() -> None:
    """They need no verb and no embedding."""
    backbone, clips = tiny_animatediff(), [latent_clip(1), video(2)]
    with MoTrans(QUIET).attach(backbone, clips[:1], rng()) as attached:
        assert list(attached.groups) == ["spatial.0"] == list(attached.adapters())
        assert [t.group for t in attached.passes(batch_of(clips[0], step=SECOND), rng())] == [
            "spatial.0"
        ]
    with MoTrans(QUIET).attach(backbone, clips, rng()) as attached:
        assert [t.group for t in attached.passes(batch_of(clips[0], step=SECOND), rng())] == [
            "spatial.0"
        ]
        assert [t.group for t in attached.passes(batch_of(clips[1], 1, step=SECOND), rng())] == [
            "temporal"
        ]


@pytest.mark.parametrize(
    ("clip", "given", "match"),
    [
        (video(prompt="a cat"), None, "has no recognisable verb.*Set verb to the motion's verb"),
        (video(prompt="a cat jumping"), "swimming", "does not contain the verb 'swimming'"),
        (
            dataclasses.replace(video(), image_embeds=torch.zeros(2, WIDTH)),
            None,
            r"shape \(2, 5\); expected \(3, 5\)",
        ),
    ],
)
def test_clips_that_cannot_be_used(clip: LatentClip, given: str | None, match: str) -> None:
    settings = dataclasses.replace(QUIET, verb=given)
    with (
        pytest.raises(ClipError, match=match),
        MoTrans(settings).attach(tiny_animatediff(), [clip], rng()),
    ):
        pass


def test_image_embeddings_of_two_encoders_are_refused() -> None:
    other = dataclasses.replace(video(1), image_embeds=torch.zeros(3, WIDTH + 1))
    with (
        pytest.raises(ClipError, match=r"clip-1.mp4 .* \(3, 6\); expected \(3, 5\)"),
        MoTrans(QUIET).attach(tiny_animatediff(), [video(0), other], rng()),
    ):
        pass


def test_without_an_image_encoder_the_path_is_asked_for() -> None:
    clip = dataclasses.replace(video(), image_embeds=None)
    with (
        pytest.raises(SettingsError, match="Set image_encoder"),
        MoTrans(QUIET).attach(tiny_animatediff(), [clip], rng()),
    ):
        pass


def test_a_run_goes_through_both_stages(tmp_path: Path) -> None:
    """Two steps of looks, one of motion; with checkpointing it is the same run. A run that would
    end within the first stage is refused.
    """
    settings = dataclasses.replace(QUIET, appearance_steps=2)
    results: list[dict[str, Tensor]] = []
    for checkpointing in (False, True):
        training = TrainSettings(steps=3, checkpointing=checkpointing)
        folder = tmp_path / str(checkpointing)
        result = train(tiny_zeroscope(), [video()], MoTrans(settings), training, folder)
        steps = {name: [step for step, _ in points] for name, points in result.losses.items()}
        assert steps == {"spatial": [1, 2], "temporal": [3]}
        results.append(
            {f"{n}.{k}": t for n, a in result.adapters.items() for k, t in a.state_dict().items()}
        )
    for name, tensor in results[0].items():
        torch.testing.assert_close(results[1][name], tensor, rtol=1e-3, atol=1e-5)
    with pytest.raises(
        SettingsError,
        match=r"steps is 2; .* motrans reaches its last stage at step 3",
    ):
        train(
            tiny_zeroscope(), [video()], MoTrans(settings), TrainSettings(steps=2), tmp_path / "x"
        )


def test_settings_are_plain_and_checked() -> None:
    settings = MoTransSettings(recaptions=("a", "b"), verb="jumping")
    assert from_mapping(MoTransSettings, to_mapping(settings)) == settings
    for wrong in (
        {"rank": 0},
        {"dropout": 1.0},
        {"appearance_steps": -1},
        {"residual_weight": -1.0},
        {"injection": "sub"},
        {"enhancer": "on"},
        {"residual_norm": "max"},
        {"recaptions": ("",)},
    ):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            MoTransSettings(**wrong)  # type: ignore[arg-type]
