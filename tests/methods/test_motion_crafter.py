"""MotionCrafter on both backbones at tiny size: both branches, what each pass sees and trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from motion_core.adapter_files.own import load_adapter, save_adapter
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.adapters.weights.adapter import WeightsAdapter
from motion_core.backbones.base import Backbone
from motion_core.backbones.checkpointing import gradient_checkpointing
from motion_core.backbones.depth import in_blocks, temporal_parameter_names
from motion_core.backbones.frozen import frozen_base
from motion_core.diffusion.encoding import encode_prompts
from motion_core.diffusion.noise import draw_noise
from motion_core.errors import ClipError, SettingsError
from motion_core.methods.base import Attached
from motion_core.methods.kl import KL_READINGS
from motion_core.methods.losses import mse
from motion_core.methods.motion_crafter import (
    MotionCrafter,
    MotionCrafterSettings,
    layered_timesteps,
)
from motion_core.methods.templates import load_templates
from motion_core.settings import from_mapping
from motion_core.training.results import adapter_info
from motion_core.training.settings import TrainSettings
from motion_core.training.trainer import train
from motion_core.types import Batch, LatentClip

from ..runs import batch_of, latent_clip
from ..tiny import tiny_animatediff, tiny_zeroscope

BACKBONES = [tiny_animatediff, tiny_zeroscope]
FULL = MotionCrafterSettings(rank=2)
LORA = MotionCrafterSettings(rank=2, parametrisation="lora", blocks="all")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stir(attached: Attached, group: str) -> None:
    """Moves what is tuned away from its start, the base."""
    with torch.no_grad():
        for parameter in attached.groups[group].parameters:
            parameter.add_(torch.randn(parameter.shape, generator=rng(9)) * 0.2)


def loss_values(attached: Attached, batch: Batch, seed: int = 0) -> dict[str, float]:
    return {term.name: term.value.item() for term in attached.passes(batch, rng(seed))}


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What a step draws, repeated here in the method's order: timesteps, noise, templates."""

    noisy: Tensor
    timesteps: Tensor
    target: Tensor
    prompts: Tensor


def drawn(backbone: Backbone, clip: LatentClip, seed: int, draws: int) -> Drawn:
    generator, latents = rng(seed), clip.latents.repeat(draws, 1, 1, 1, 1)
    timesteps = layered_timesteps(draws, range(1000), "early", generator)
    noise = draw_noise(latents.shape, generator, "cpu")
    templates = load_templates("everyday")
    chosen = torch.randint(len(templates), (draws,), generator=generator).tolist()
    texts = [templates[index].replace("{}", clip.prompt) for index in chosen]
    return Drawn(
        noisy=backbone.schedule.noised(latents, noise, timesteps),
        timesteps=timesteps,
        target=backbone.schedule.target(latents, noise, timesteps),
        prompts=encode_prompts(backbone, texts),
    )


@pytest.mark.parametrize("make", BACKBONES)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_an_untrained_branch_is_the_base(
    make: Callable[..., Backbone], prediction_type: str
) -> None:
    """D_KL of equal branches is 0, so L_motion is the base's own MSE under the drawn templates."""
    backbone, clip = make(prediction_type=prediction_type), latent_clip()
    with MotionCrafter(FULL).attach(backbone, [clip], rng()) as attached, torch.no_grad():
        losses = loss_values(attached, batch_of(clip, draws=2), seed=3)
    step = drawn(backbone, clip, 3, 2)
    with torch.no_grad():
        pred = backbone.predict(step.noisy, step.timesteps, step.prompts)
    assert losses == {"motion": pytest.approx(mse(pred, step.target).item(), rel=1e-6)}


@pytest.mark.parametrize("make", BACKBONES)
@pytest.mark.parametrize("settings", [FULL, LORA], ids=["full", "lora"])
def test_both_branches_make_the_loss(
    make: Callable[[], Backbone], settings: MotionCrafterSettings
) -> None:
    """v2, Eq. 3 with β = 2: MSE(tuned, target) + 2·D_KL(tuned ‖ base), of the same noisy latents
    under the same template; the tuned branch is what the exported adapter makes of the base.
    """
    backbone, clip = make(), latent_clip()
    step = drawn(backbone, clip, 3, 2)
    for kl, reading in KL_READINGS.items():
        chosen = dataclasses.replace(settings, kl=kl, beta=2.0)
        with MotionCrafter(chosen).attach(backbone, [clip], rng()) as attached, torch.no_grad():
            stir(attached, "temporal")
            loss = loss_values(attached, batch_of(clip, draws=2), seed=3)["motion"]
            adapter = attached.adapters()["temporal"]
        with torch.no_grad():
            base = backbone.predict(step.noisy, step.timesteps, step.prompts)
            with adapter.applied(backbone, 1.0):
                tuned = backbone.predict(step.noisy, step.timesteps, step.prompts)
        expected = mse(tuned, step.target) + 2.0 * reading(tuned, base)
        assert loss == pytest.approx(expected.item(), rel=1e-4)
        assert (tuned - base).abs().max() > 0.01


def test_separate_reference_prompt() -> None:
    """Two forwards, each with its own term: MSE under the clip's prompt, β·D_KL under the
    template.
    """
    backbone, clip = tiny_zeroscope(), latent_clip()
    settings = dataclasses.replace(FULL, separate_reference_prompt=True)
    with MotionCrafter(settings).attach(backbone, [clip], rng()) as attached, torch.no_grad():
        stir(attached, "temporal")
        losses = loss_values(attached, batch_of(clip), seed=3)
        adapter = attached.adapters()["temporal"]
    step = drawn(backbone, clip, 3, 1)
    with torch.no_grad():
        base = backbone.predict(step.noisy, step.timesteps, step.prompts)
        with adapter.applied(backbone, 1.0):
            reference = backbone.predict(step.noisy, step.timesteps, clip.prompt_embeds)
            tuned = backbone.predict(step.noisy, step.timesteps, step.prompts)
    assert losses == {
        "temporal": pytest.approx(mse(reference, step.target).item(), rel=1e-4),
        "appearance": pytest.approx(5.0 * mse(tuned, base).item(), rel=1e-4),
    }


@pytest.mark.parametrize("make", BACKBONES)
def test_checkpointed_gradients_are_the_same(make: Callable[[], Backbone]) -> None:
    """A block that is recomputed in backward still sees the tuned weights."""
    backbone, clip, grads = make(), latent_clip(), []
    for checkpointed in (False, True):
        with MotionCrafter(FULL).attach(backbone, [clip], rng()) as attached:
            stir(attached, "temporal")
            parameters = attached.groups["temporal"].parameters
            if checkpointed:
                with gradient_checkpointing(backbone.network):
                    for term in attached.passes(batch_of(clip), rng()):
                        term.value.backward(inputs=list(parameters))
            else:
                for term in attached.passes(batch_of(clip), rng()):
                    term.value.backward(inputs=list(parameters))
            grads.append([parameter.grad for parameter in parameters])
    for plain, recomputed in zip(*grads, strict=True):
        torch.testing.assert_close(recomputed, plain)


@pytest.mark.parametrize("make", BACKBONES)
def test_a_base_in_half_precision(make: Callable[[], Backbone]) -> None:
    """Float32 copies and gradients on a bf16 base, an untrained ΔW of exactly 0, and the float32
    base back afterwards.
    """
    backbone, clip = make(), latent_clip()
    weights = {name: tensor.clone() for name, tensor in backbone.network.state_dict().items()}
    with (
        frozen_base(backbone.network, torch.bfloat16),
        MotionCrafter(FULL).attach(backbone, [clip], rng()) as attached,
    ):
        (before,) = attached.adapters().values()
        parameters = attached.groups["temporal"].parameters
        for term in attached.passes(batch_of(clip), rng()):
            assert term.value.dtype == torch.float32
            term.value.backward(inputs=list(parameters))
    assert all(not delta.any() for delta in before.state_dict().values())
    grads = [parameter.grad for parameter in parameters]
    assert all(grad is not None and grad.dtype == torch.float32 for grad in grads)
    after = backbone.network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in weights.items())


def test_paths_are_trained_apart() -> None:
    """v1's two paths: each pass has the other's weights at the base's."""
    backbone, clip = tiny_zeroscope(), latent_clip()
    settings = dataclasses.replace(FULL, spatial_path=True)
    with MotionCrafter(settings).attach(backbone, [clip], rng()) as attached, torch.no_grad():
        start = loss_values(attached, batch_of(clip))
        stir(attached, "temporal")
        moved = loss_values(attached, batch_of(clip))
        stir(attached, "spatial")
        both = loss_values(attached, batch_of(clip))
        assert {n: a.scope for n, a in attached.adapters().items()} == {
            "temporal": "temporal",
            "spatial": "spatial",
        }
    assert moved["spatial"] == start["spatial"] and moved["motion"] != start["motion"]
    assert both["spatial"] != start["spatial"] and both["motion"] == moved["motion"]


@pytest.mark.parametrize("make", BACKBONES)
@pytest.mark.parametrize("blocks", ["deep", "all"])
def test_blocks_that_are_tuned(make: Callable[[], Backbone], blocks: Any) -> None:
    """Whole weights: every temporal parameter there. LoRA: the linear layers there."""
    backbone, clip = make(), latent_clip()
    full = dataclasses.replace(FULL, blocks=blocks)
    with MotionCrafter(full).attach(backbone, [clip], rng()) as attached:
        adapter = attached.adapters()["temporal"]
    assert isinstance(adapter, WeightsAdapter)
    unet = backbone.network
    assert list(adapter.deltas) == in_blocks(temporal_parameter_names(unet), blocks, unet)
    lora = dataclasses.replace(LORA, blocks=blocks)
    with MotionCrafter(lora).attach(backbone, [clip], rng()) as attached:
        adapter = attached.adapters()["temporal"]
    assert isinstance(adapter, LoraAdapter)
    assert list(adapter.pairs) == in_blocks(backbone.sites("temporal"), blocks, unet)


def test_timesteps_come_from_the_likely_half() -> None:
    """1000 draws at 0.8: 800 expected, standard deviation sqrt(1000·0.8·0.2) = 12.6; 740 to 860 is
    4.7 of them. Of ten timesteps each half has five, and all of them come.
    """
    early = layered_timesteps(1000, range(10), "early", rng())
    literal = layered_timesteps(1000, range(10), "literal", rng())
    uniform = layered_timesteps(1000, range(10), "uniform", rng())
    assert 740 <= (early >= 5).sum() <= 860
    assert 740 <= (literal < 5).sum() <= 860
    assert 425 <= (uniform < 5).sum() <= 575  # sd 15.8
    for timesteps in (early, literal, uniform):
        assert timesteps.dtype == torch.int64
        assert sorted(set(timesteps.tolist())) == list(range(10))


def test_every_video_of_a_batch_has_its_own_template_and_every_clip_its_motion() -> None:
    """The drawn embeddings are those of the templates with the motion of the settings, one for all
    or one each, or with the clip's prompt; the four draws of this seed are not all the same.
    """
    backbone, clips = tiny_animatediff(), [latent_clip(seed=0), latent_clip(seed=1)]
    for motion, texts in (
        (None, ["clip 0", "clip 1"]),
        ("hopping", ["hopping"] * 2),
        ("hopping\n\n turning left \n", ["hopping", "turning left"]),
    ):
        settings = dataclasses.replace(FULL, motion=motion)
        with MotionCrafter(settings).attach(backbone, clips, rng()) as attached:
            for index, text in enumerate(texts):
                embeds = attached.passes._drawn_templates(batch_of(clips[index], index, 4), rng(1))
                templates = load_templates("everyday")
                chosen = torch.randint(len(templates), (4,), generator=rng(1)).tolist()
                filled = [templates[number].replace("{}", text) for number in chosen]
                torch.testing.assert_close(embeds, encode_prompts(backbone, filled))
                assert len(set(chosen)) > 1


def test_the_motion_in_the_templates_is_never_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Each prompt's is logged; that it is the whole prompt, as a warning."""
    backbone, clips = tiny_animatediff(), [latent_clip(seed=0)]
    for motion, level, said in (
        ("hopping", "INFO", "the motion of 'clip 0' is 'hopping'"),
        (None, "WARNING", "templates take the clips' whole prompts"),
    ):
        caplog.clear()
        with caplog.at_level("INFO"):
            method = MotionCrafter(dataclasses.replace(FULL, motion=motion))
            with method.attach(backbone, clips, rng()):
                pass
        assert [r.levelname for r in caplog.records if said in r.getMessage()] == [level]


def test_motions_that_do_not_fit_the_prompts() -> None:
    clips = [latent_clip(seed=index) for index in range(3)]
    method = MotionCrafter(dataclasses.replace(FULL, motion="hopping\nrunning"))
    with pytest.raises(SettingsError, match="motion has 2 lines for 3 prompts"):
        with method.attach(tiny_animatediff(), clips, rng()):
            pass


def test_templates_of_ones_own(tmp_path: Path) -> None:
    """Also ones that change nothing: with "{}" alone both branches see the clip's prompt."""
    backbone, clip = tiny_animatediff(), latent_clip()
    path = tmp_path / "mine.txt"
    path.write_text("{}\n")
    settings = dataclasses.replace(FULL, templates=str(path))
    with MotionCrafter(settings).attach(backbone, [clip], rng()) as attached:
        embeds = attached.passes._drawn_templates(batch_of(clip), rng())
    assert torch.equal(embeds, encode_prompts(backbone, [clip.prompt]))
    path.write_text("a cat\n")
    with (
        pytest.raises(SettingsError, match=r"mine\.txt, line 1"),
        MotionCrafter(settings).attach(backbone, [clip], rng()),
    ):
        pass


def test_learning_rates() -> None:
    backbone, clip = tiny_animatediff(), latent_clip()
    for settings, expected in ((FULL, (2e-5, 0.0)), (LORA, (5e-4, 1e-2))):
        with MotionCrafter(settings).attach(backbone, [clip], rng()) as attached:
            group = attached.groups["temporal"]
            assert (group.learning_rate, group.weight_decay) == expected


def test_images() -> None:
    """An image has no motion to learn; with v1's spatial path it has looks."""
    backbone, image = tiny_animatediff(), latent_clip(1)
    with (
        pytest.raises(ClipError, match=r"clip-0\.mp4 is an image"),
        MotionCrafter(FULL).attach(backbone, [image], rng()),
    ):
        pass
    settings = dataclasses.replace(FULL, spatial_path=True)
    with MotionCrafter(settings).attach(backbone, [image], rng()) as attached, torch.no_grad():
        assert list(attached.groups) == ["spatial"]
        assert list(loss_values(attached, batch_of(image))) == ["spatial"]
    with (
        pytest.raises(ClipError, match="No clips"),
        MotionCrafter(FULL).attach(backbone, [], rng()),
    ):
        pass


@pytest.mark.parametrize("make", BACKBONES)
def test_a_run_leaves_a_file_that_moves_the_base(
    make: Callable[[], Backbone], tmp_path: Path
) -> None:
    """Through the trainer and the adapter file: parametrisation full, no rank, the trained parts
    as sites.
    """
    backbone, clip = make(), latent_clip()
    method, settings = MotionCrafter(FULL), TrainSettings(steps=2, learning_rate=1e-3)
    result = train(backbone, [clip], method, settings, tmp_path / "run")
    info = adapter_info(backbone, [clip], method, settings, result.adapters, result.steps)
    assert (info.method, info.parametrisation, info.rank) == ("motion_crafter", "full", None)
    assert {"temporal.attn1", "temporal.ff", "temporal.norm1", "temporal.proj_in"} < set(info.sites)
    assert ("temporal.temp_convs" in info.sites) == (backbone.family == "zeroscope")
    save_adapter(tmp_path / "a.safetensors", result.adapters, info)
    (loaded,) = load_adapter(tmp_path / "a.safetensors")[1].values()
    with torch.no_grad():
        base = backbone.predict(clip.latents, torch.tensor([500]), clip.prompt_embeds)
        with loaded.applied(backbone, 1.0):
            moved = backbone.predict(clip.latents, torch.tensor([500]), clip.prompt_embeds)
    assert not torch.equal(base, moved)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("beta", -1.0),
        ("kl", "forward"),
        ("blocks", "shallow"),
        ("parametrisation", "dora"),
        ("rank", 0),
        ("timestep_bias", "late"),
        ("templates", ""),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=name):
        from_mapping(MotionCrafterSettings, {name: value})
