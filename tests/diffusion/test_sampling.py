"""sampler.py: steps derived by hand, round trips, and parity with diffusers' own pipelines."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
import torch
from diffusers import AnimateDiffPipeline, EulerDiscreteScheduler, LCMScheduler
from diffusers.pipelines.deprecated.text_to_video_synthesis.pipeline_text_to_video_synth import (
    TextToVideoSDPipeline,
)
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from motion_core.backbones.animatediff import AnimateDiff
from motion_core.backbones.zeroscope import ZeroScope
from motion_core.diffusion.sampling import invert_latents, sample_latents
from motion_core.diffusion.settings import SampleSettings
from motion_core.errors import FormatError, SettingsError
from motion_core.settings import from_mapping, to_mapping

from ..tiny import tiny_animatediff, tiny_zeroscope

SHAPE = (1, 4, 4, 4, 4)
TinyBackbone = AnimateDiff | ZeroScope


def with_schedule(backbone: TinyBackbone, **changes: object) -> TinyBackbone:
    backbone.scheduler = DDIMScheduler.from_config(backbone.scheduler.config, **changes)
    return backbone


def epsilon_leading(build: Callable[..., TinyBackbone]) -> TinyBackbone:
    return build("epsilon")


def v_zero_snr_trailing(build: Callable[..., TinyBackbone]) -> TinyBackbone:
    return with_schedule(
        build("v_prediction"),
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        steps_offset=0,
        set_alpha_to_one=True,
    )


def inputs(backbone: TinyBackbone, batch: int = 1, seed: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """Noise, and the embeddings of a prompt and of a negative one."""
    noise = torch.randn(batch, *SHAPE[1:], generator=torch.Generator().manual_seed(seed))
    prompt, negative = backbone.text.encode(
        ["a red ball rolls"] * batch + ["blurry"] * batch
    ).chunk(2)
    return noise, prompt, negative


# Round trips


@pytest.mark.parametrize("build", [tiny_animatediff, tiny_zeroscope])
def test_round_trip_error_falls_with_the_steps_v_zero_snr(build: Callable[..., TinyBackbone]):
    """The scheme is of first order: four times the steps, about a quarter of the error."""
    backbone = v_zero_snr_trailing(build)
    coarse, fine = round_trip_error(backbone, 8), round_trip_error(backbone, 32)
    assert fine < 0.06
    assert 2.5 < coarse / fine < 6.0


@pytest.mark.parametrize("build", [tiny_animatediff, tiny_zeroscope])
def test_round_trip_error_falls_with_the_steps_epsilon(build: Callable[..., TinyBackbone]):
    """As above, on betas up to 0.002 (ᾱ_999 about 0.24): at the full schedule's ᾱ_999 of 0.0016 the
    way back multiplies the noise that an untrained network leaves by 25, whatever the scheme.
    """
    backbone = with_schedule(epsilon_leading(build), beta_end=0.002)
    coarse, fine = round_trip_error(backbone, 8), round_trip_error(backbone, 32)
    assert fine < 0.06
    assert 2.5 < coarse / fine < 6.0


def round_trip_error(backbone: TinyBackbone, steps: int) -> float:
    """Relative error of: a clip's latents, inverted, sampled again without guidance."""
    clip, prompt, negative = inputs(backbone, seed=9)
    inverted = invert_latents(backbone, clip, prompt, steps)
    settings = SampleSettings(steps=steps, guidance_scale=1.0)
    again = sample_latents(backbone, inverted, prompt, negative, settings)
    return ((again - clip).norm() / clip.norm()).item()


# Parity with diffusers


@pytest.mark.parametrize("guidance_scale", [1.0, 7.5])
@pytest.mark.parametrize("schedule", [epsilon_leading, v_zero_snr_trailing])
def test_same_latents_as_animatediff_pipeline(
    schedule: Callable[..., AnimateDiff], guidance_scale: float
):
    backbone = schedule(tiny_animatediff)
    pipeline = AnimateDiffPipeline(
        vae=backbone.vae,
        text_encoder=backbone.text.model,
        tokenizer=None,  # type: ignore[arg-type]  # the prompts come as embeddings
        unet=backbone.network,
        motion_adapter=None,  # type: ignore[arg-type]  # the UNet has its motion modules
        scheduler=DDIMScheduler.from_config(backbone.scheduler.config),
    )
    settings = SampleSettings(steps=6, guidance_scale=guidance_scale)
    assert_same_latents(backbone, pipeline, settings)


@pytest.mark.parametrize("guidance_scale", [1.0, 7.5])
@pytest.mark.parametrize("schedule", [epsilon_leading, v_zero_snr_trailing])
def test_same_latents_as_text_to_video_pipeline(
    schedule: Callable[..., ZeroScope], guidance_scale: float
):
    backbone = schedule(tiny_zeroscope)
    pipeline = TextToVideoSDPipeline(
        vae=backbone.vae,
        text_encoder=backbone.text.model,
        tokenizer=None,  # type: ignore[arg-type]  # the prompts come as embeddings
        unet=backbone.network,
        scheduler=DDIMScheduler.from_config(backbone.scheduler.config),  # type: ignore[arg-type]
    )
    settings = SampleSettings(steps=6, guidance_scale=guidance_scale)
    assert_same_latents(backbone, pipeline, settings)


@pytest.mark.parametrize(("few_steps", "guidance_scale"), [("lcm", 2.0), ("lightning", 1.0)])
def test_same_latents_as_the_pipelines_of_distilled_models(
    few_steps: Literal["lcm", "lightning"], guidance_scale: float
) -> None:
    """AnimateDiffPipeline as the model cards of AnimateLCM and AnimateDiff-Lightning set it up.
    Euler's steps begin at σ_T times the noise, which the network sees divided by sqrt(1 + σ_T²).
    """
    backbone = epsilon_leading(tiny_animatediff)
    assert isinstance(backbone, AnimateDiff)
    config = dict(backbone.scheduler.config)
    scheduler: Any = LCMScheduler.from_config(config)
    scale = 1.0
    if few_steps == "lightning":
        scheduler = EulerDiscreteScheduler.from_config(config, timestep_spacing="trailing")
        largest = float(scheduler.sigmas.max())
        scale = (1 + largest**2) ** 0.5 / largest
    pipeline = AnimateDiffPipeline(
        vae=backbone.vae,
        text_encoder=backbone.text.model,
        tokenizer=None,  # type: ignore[arg-type]  # the prompts come as embeddings
        unet=backbone.network,
        motion_adapter=None,  # type: ignore[arg-type]  # the UNet has its motion modules
        scheduler=scheduler,
    )
    settings = SampleSettings(steps=4, guidance_scale=guidance_scale, few_steps=few_steps, seed=8)
    assert_same_latents(backbone, pipeline, settings, scale)


def assert_same_latents(
    backbone: TinyBackbone, pipeline: Any, settings: SampleSettings, scale: float = 1.0
) -> None:
    """scale: of the noise that the pipeline gets."""
    pipeline.set_progress_bar_config(disable=True)
    noise, prompt, negative = inputs(backbone)
    theirs = pipeline(
        prompt_embeds=prompt,
        negative_prompt_embeds=negative,
        latents=noise * scale,
        num_frames=SHAPE[2],
        height=SHAPE[3] * 8,
        width=SHAPE[4] * 8,
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        generator=torch.Generator().manual_seed(settings.seed),
        output_type="latent",
    ).frames
    ours = sample_latents(backbone, noise, prompt, negative, settings)
    assert (ours - noise).abs().max() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


# Guidance


def test_guidance_rescale_by_hand():
    """One step from zero terminal SNR: z_0 = −v̂, so the latents are the guided prediction negated.

    With φ = 1 the guided prediction gets the positive branch's standard deviation; with φ = 0.7 it
    gets 0.7·σ_pos + 0.3·σ_guided (arXiv 2305.08891, Eqs. 15, 16), its direction unchanged.
    """
    backbone = v_zero_snr_trailing(tiny_zeroscope)
    noise, prompt, negative = inputs(backbone)

    def one_step(scale: float, rescale: float) -> Tensor:
        settings = SampleSettings(steps=1, guidance_scale=scale, guidance_rescale=rescale)
        return sample_latents(backbone, noise, prompt, negative, settings)

    positive, guided = one_step(1.0, 0.0), one_step(12.0, 0.0)
    assert guided.std() > 1.01 * positive.std()
    for share in (1.0, 0.7):
        rescaled = one_step(12.0, share)
        expected = share * positive.std() + (1.0 - share) * guided.std()
        torch.testing.assert_close(rescaled.std(), expected)
        torch.testing.assert_close(rescaled / rescaled.std(), guided / guided.std())


def test_guidance_takes_turns_where_memory_is_short(caplog: pytest.LogCaptureFixture):
    """A device that holds one clip, not two: same latents, one warning, one refused attempt."""
    backbone = tiny_zeroscope()
    noise, prompt, negative = inputs(backbone)
    settings = SampleSettings(steps=3, guidance_scale=7.5)
    expected = sample_latents(backbone, noise, prompt, negative, settings)
    refused = 0

    def hold_one(module: torch.nn.Module, args: tuple[Tensor, ...]) -> None:
        nonlocal refused
        if args[0].shape[0] > 1:
            refused += 1
            raise torch.cuda.OutOfMemoryError("a clip too many")

    with backbone.network.register_forward_pre_hook(hold_one):
        turns = sample_latents(backbone, noise, prompt, negative, settings)
    torch.testing.assert_close(turns, expected, rtol=1e-4, atol=1e-5)
    assert refused == 1
    assert len(caplog.records) == 1


def test_a_batch_is_its_clips_one_by_one():
    """In float64, for norms over the few values of a tiny frame enlarge rounding."""
    backbone = tiny_animatediff()
    torch.nn.Module.to(backbone.network, dtype=torch.float64)
    noise, prompt, negative = inputs(backbone, batch=2)
    settings = SampleSettings(steps=3, guidance_scale=7.5, guidance_rescale=0.5)
    together = sample_latents(backbone, noise, prompt, negative, settings)
    for i in range(2):
        one = slice(i, i + 1)
        alone = sample_latents(backbone, noise[one], prompt[one], negative[one], settings)
        torch.testing.assert_close(together[one], alone, rtol=1e-4, atol=1e-5)


# What a call leaves behind


def test_on_step_is_told_and_may_cancel_and_the_model_is_as_before():
    backbone = tiny_zeroscope()
    noise, prompt, negative = inputs(backbone)
    backbone.network.train()
    backbone.network.conv_out.eval()
    backbone.network.conv_in.weight.requires_grad_(True)
    flags = [part.training for part in backbone.network.modules()]
    told: list[tuple[int, int]] = []

    def cancel_at_two(step: int, total: int) -> None:
        assert not any(part.training for part in backbone.network.modules())
        told.append((step, total))
        if step == 2:
            raise KeyboardInterrupt

    settings = SampleSettings(steps=5)
    with pytest.raises(KeyboardInterrupt):
        sample_latents(backbone, noise, prompt, negative, settings, cancel_at_two)
    assert told == [(1, 5), (2, 5)]
    with pytest.raises(KeyboardInterrupt):
        invert_latents(backbone, noise, prompt, 5, cancel_at_two)
    assert [part.training for part in backbone.network.modules()] == flags
    assert backbone.network.conv_in.weight.requires_grad
    assert backbone.scheduler.num_inference_steps is None


def test_dropout_is_off_and_inputs_stay():
    """A network left in train mode by its trainer samples the same latents twice."""
    backbone = tiny_animatediff()
    for part in backbone.network.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.5
    backbone.network.train()
    noise, prompt, negative = inputs(backbone)
    before = noise.clone()
    first, second = (
        sample_latents(backbone, noise, prompt, negative, SampleSettings(steps=2)) for _ in range(2)
    )
    assert torch.equal(first, second)
    assert torch.equal(noise, before)


@pytest.mark.parametrize("run", ["sample", "invert"])
def test_results_are_plain_tensors_inside_inference_mode(run: str):
    """ComfyUI runs its nodes under inference_mode; what comes out must be usable in training."""
    backbone = tiny_zeroscope()
    with torch.inference_mode():
        noise, prompt, negative = inputs(backbone)
        if run == "sample":
            result = sample_latents(backbone, noise, prompt, negative, SampleSettings(steps=2))
        else:
            result = invert_latents(backbone, noise, prompt, 2)
    assert not result.is_inference() and not result.requires_grad


def test_a_half_precision_network_keeps_float32_latents():
    """bfloat16 rounds to 8 bits, so the latents differ from float32's by some percent at most.

    Guidance is computed in float32: one step from zero terminal SNR gives the guided prediction
    negated, which bfloat16 cannot hold.
    """
    backbone = v_zero_snr_trailing(tiny_zeroscope)
    noise, prompt, negative = inputs(backbone)
    settings = SampleSettings(steps=1, guidance_scale=2.5)
    exact = sample_latents(backbone, noise, prompt, negative, settings)
    backbone.network.to(torch.bfloat16)
    rounded = sample_latents(backbone, noise, prompt, negative, settings)
    assert rounded.dtype == torch.float32
    assert 0.0 < (rounded - exact).norm() / exact.norm() < 0.05
    assert not torch.equal(rounded, rounded.to(torch.bfloat16).float())


# Settings


def test_settings_round_trip_and_default_to_the_papers():
    settings = SampleSettings()
    assert (settings.steps, settings.guidance_scale, settings.noise_prior) == (30, 12.0, 0.0)
    changed = dataclasses.replace(settings, seed=7, negative_prompt="blurry")
    assert from_mapping(SampleSettings, to_mapping(changed)) == changed


def bad_settings() -> Iterator[tuple[str, object]]:
    yield from [("steps", 0), ("guidance_scale", 0.5), ("frames", 0), ("height", 100)]
    yield from [
        ("width", 0),
        ("seed", -1),
        ("noise_prior", 1.5),
        ("guidance_rescale", -0.1),
        ("adapter_end", 0.0),
    ]
    yield from [("guidance_scale", math.nan), ("temporal_scale", math.inf)]


@pytest.mark.parametrize(("name", "value"), bad_settings())
def test_settings_out_of_range_are_named(name: str, value: object):
    with pytest.raises(SettingsError, match=name):
        SampleSettings(**{name: value})  # type: ignore[arg-type]


def test_more_steps_than_the_schedule_has_are_refused():
    backbone = tiny_zeroscope()
    noise, prompt, negative = inputs(backbone)
    with pytest.raises(SettingsError, match="1001"):
        sample_latents(backbone, noise, prompt, negative, SampleSettings(steps=1001))
    with pytest.raises(SettingsError, match="inversion"):
        invert_latents(backbone, noise, prompt, 1)


def test_epsilon_from_pure_noise_is_refused():
    """ε from ᾱ = 0 would divide by zero; diffusers then returns nan without a word."""
    backbone = with_schedule(
        tiny_zeroscope(), rescale_betas_zero_snr=True, timestep_spacing="trailing"
    )
    noise, prompt, negative = inputs(backbone)
    with pytest.raises(FormatError, match="zero terminal SNR"):
        sample_latents(backbone, noise, prompt, negative, SampleSettings(steps=2))
