"""pipeline.py with real adapters on both backbones at tiny size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from diffusers import AnimateDiffPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from motion_core.adapters.base import Scope
from motion_core.adapters.lora.keys import LoraPair
from motion_core.adapters.lora.training import LoraAdapter
from motion_core.backbones.animatediff import AnimateDiff
from motion_core.backbones.zeroscope import ZeroScope
from motion_core.diffusion.encoding import decode_latents, encode_prompts
from motion_core.diffusion.generate import apply_adapters, generate, invert_clip, starting_noise
from motion_core.diffusion.settings import SampleSettings
from motion_core.errors import AdapterError, MotionError
from motion_core.events import CancelRun
from motion_core.types import LatentClip

from ..tiny import tiny_animatediff, tiny_zeroscope

TinyBackbone = AnimateDiff | ZeroScope
BUILDERS = pytest.mark.parametrize("build", [tiny_animatediff, tiny_zeroscope])


def lora(backbone: TinyBackbone, scope: Scope, seed: int = 0) -> LoraAdapter:
    """Rank 2 on every site of the scope, large enough to change what the network says."""
    rng = torch.Generator().manual_seed(seed)
    sites = backbone.sites("temporal") if scope == "temporal" else backbone.sites("spatial")
    pairs = {}
    for name in sites:
        rows, columns = backbone.network.get_submodule(name).weight.shape  # type: ignore[misc]
        down = torch.randn(2, columns, generator=rng) * 0.3
        pairs[name] = LoraPair(down, torch.randn(rows, 2, generator=rng) * 0.3)
    return LoraAdapter(scope=scope, family=backbone.family, pairs=pairs)


def weights(backbone: TinyBackbone) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in backbone.network.state_dict().items()}


def assert_untouched(backbone: TinyBackbone, before: dict[str, Tensor]) -> None:
    after = backbone.network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


def small(**changes: object) -> SampleSettings:
    values = {"steps": 2, "guidance_scale": 3.0, "frames": 4, "height": 32, "width": 48, "seed": 11}
    return SampleSettings(**(values | changes))  # type: ignore[arg-type]


# Adapters


@BUILDERS
def test_adapters_add_up_each_by_its_strength_and_its_scope(build: Callable[..., TinyBackbone]):
    """W = W0 + Σ strength · scale of the scope · up·down, for two temporal LoRAs and a spatial one:
    temporal 0.5·2 = 1 of the first and 2·2 = 4 of the second; spatial 0.5·(−1) = −0.5.
    """
    backbone = build()
    first, second = lora(backbone, "temporal", 1), lora(backbone, "temporal", 2)
    spatial = lora(backbone, "spatial", 3)
    before = weights(backbone)
    adapters = [(first, 0.5), (second, 2.0), (spatial, 0.5)]
    with apply_adapters(backbone, adapters, temporal_scale=2.0, spatial_scale=-1.0):
        inside = weights(backbone)
    for name, original in before.items():
        expected = original.clone()
        for adapter, factor in ((first, 1.0), (second, 4.0), (spatial, -0.5)):
            pair = adapter.pairs.get(name.removesuffix(".weight"))
            if pair is not None and name.endswith(".weight"):
                expected += factor * (pair.up @ pair.down)
        torch.testing.assert_close(inside[name], expected)
    assert_untouched(backbone, before)


@BUILDERS
def test_adapters_come_off_after_an_exception(build: Callable[..., TinyBackbone]):
    backbone = build()
    before = weights(backbone)
    adapters = [(lora(backbone, "temporal"), 1.0), (lora(backbone, "spatial"), 1.0)]
    with pytest.raises(CancelRun), apply_adapters(backbone, adapters):
        raise CancelRun
    assert_untouched(backbone, before)


def test_an_adapter_that_does_not_fit_leaves_none_on():
    backbone = tiny_animatediff()
    before = weights(backbone)
    adapters = [(lora(backbone, "temporal"), 1.0), (lora(tiny_zeroscope(), "temporal"), 1.0)]
    with pytest.raises(AdapterError, match="zeroscope"), apply_adapters(backbone, adapters):
        pytest.fail("the second adapter is of another family")
    assert_untouched(backbone, before)


# Frames


@pytest.mark.parametrize("guidance_scale", [1.0, 7.5])
def test_same_frames_as_animatediff_pipeline(guidance_scale: float):
    """From the seed's noise, with a temporal LoRA on: prompts, sampling and decoding."""
    backbone = tiny_animatediff()
    adapter = lora(backbone, "temporal")
    settings = small(guidance_scale=guidance_scale, negative_prompt="blurry")
    ours = generate(backbone, "a red ball", [(adapter, 0.7)], settings)
    pipeline = AnimateDiffPipeline(
        vae=backbone.vae,
        text_encoder=backbone.text.model,
        tokenizer=None,  # type: ignore[arg-type]  # the prompts come as embeddings
        unet=backbone.network,
        motion_adapter=None,  # type: ignore[arg-type]  # the UNet has its motion modules
        scheduler=DDIMScheduler.from_config(backbone.scheduler.config),  # type: ignore[arg-type]
    )
    pipeline.set_progress_bar_config(disable=True)
    noise = torch.randn(1, 4, 4, 4, 6, generator=torch.Generator().manual_seed(11))
    with apply_adapters(backbone, [(adapter, 0.7)]):
        theirs = pipeline(
            prompt_embeds=backbone.text.encode(["a red ball"]),
            negative_prompt_embeds=backbone.text.encode(["blurry"]),
            latents=noise,
            num_frames=4,
            height=32,
            width=48,
            num_inference_steps=2,
            guidance_scale=guidance_scale,
            output_type="pt",
        ).frames  # type: ignore[union-attr]
    assert ours.shape == (4, 3, 32, 48) and ours.dtype == torch.float32
    torch.testing.assert_close(ours, theirs[0] * 2.0 - 1.0, rtol=1e-4, atol=1e-4)


@BUILDERS
def test_frames_follow_prompt_seed_and_adapters_and_nothing_else(
    build: Callable[..., TinyBackbone],
):
    backbone = build()
    before = weights(backbone)
    temporal, spatial = lora(backbone, "temporal"), lora(backbone, "spatial")
    both = [(temporal, 1.0), (spatial, 1.0)]
    torch.manual_seed(0)
    base = generate(backbone, "a red ball", [], small())
    assert base.shape == (4, 3, 32, 48) and base.abs().max() <= 1.0
    torch.manual_seed(1)
    assert torch.equal(base, generate(backbone, "a red ball", [], small()))
    for changed in (
        generate(backbone, "a blue square", [], small()),
        generate(backbone, "a red ball", [], small(seed=12)),
        generate(backbone, "a red ball", [], small(negative_prompt="blurry")),
        generate(backbone, "a red ball", [(temporal, 1.0)], small()),
        generate(backbone, "a red ball", [(spatial, 1.0)], small()),
    ):
        assert not torch.allclose(base, changed, atol=1e-4)
    off = generate(backbone, "a red ball", both, small(temporal_scale=0.0, spatial_scale=0.0))
    assert torch.equal(base, off)
    motion = generate(backbone, "a red ball", both, small(spatial_scale=0.0))
    assert torch.equal(motion, generate(backbone, "a red ball", [(temporal, 1.0)], small()))
    assert_untouched(backbone, before)


def test_adapters_take_part_in_the_first_steps_alone():
    """Of four steps at adapter_end 0.5, the first two run on the merged weight, and the last two on
    the base's."""
    backbone = tiny_animatediff()
    temporal = lora(backbone, "temporal")
    linear = backbone.network.get_submodule(next(iter(temporal.pairs)))
    before, merged = linear.weight.clone(), []
    hook = linear.register_forward_pre_hook(
        lambda layer, _inputs: merged.append(not torch.equal(layer.weight, before))
    )
    generate(backbone, "a red ball", [(temporal, 1.0)], small(steps=4, adapter_end=0.5))
    hook.remove()
    assert merged[:: len(merged) // 4] == [True, True, False, False]
    assert torch.equal(linear.weight, before)


def test_one_frame_is_an_image():
    frames = generate(tiny_animatediff(), "a red ball", [], small(frames=1))
    assert frames.shape == (1, 3, 32, 48)


def test_cancel_leaves_the_model_as_it_was():
    backbone = tiny_zeroscope()
    before = weights(backbone)

    def cancel(step: int, total: int) -> None:
        raise CancelRun

    with pytest.raises(CancelRun):
        generate(backbone, "", [(lora(backbone, "temporal"), 1.0)], small(), on_step=cancel)
    assert_untouched(backbone, before)
    assert not any(part.training for part in backbone.network.modules())
    assert not any(parameter.requires_grad for parameter in backbone.network.parameters())


def test_frames_are_plain_tensors_inside_inference_mode():
    backbone = tiny_animatediff()
    adapter = lora(backbone, "temporal")
    with torch.inference_mode():
        frames = generate(backbone, "a red ball", [(adapter, 1.0)], small())
    assert not frames.is_inference() and not frames.requires_grad


# The noise prior


@BUILDERS
def test_an_inverted_clip_comes_back_at_full_prior(build: Callable[..., TinyBackbone]):
    """p = 1, empty prompt, no guidance: the clip's own latents, decoded. v-prediction, where the
    way back does not magnify an untrained network's noise; the error is the inversion's.
    """
    backbone = build("v_prediction")
    clip = latent_clip(backbone, frames=4)
    inverted = invert_clip(backbone, clip, steps=32)
    assert inverted.shape == clip.latents.shape
    settings = small(steps=32, guidance_scale=1.0, noise_prior=1.0)
    frames = generate(backbone, "", [], settings, inverted)
    expected = decode_latents(backbone, clip.latents)
    other = generate(backbone, "", [], small(steps=32, guidance_scale=1.0))
    error = (frames - expected).norm() / expected.norm()
    assert error < 0.1
    assert (other - expected).norm() > 5.0 * (frames - expected).norm()


def test_starting_noise_is_the_blend_of_the_seeds_noise_and_the_inverted():
    """p = 0.36: 0.6·z_inv + 0.8·n with n the seed's draw, whatever the global random state."""
    backbone = tiny_zeroscope()
    fresh = torch.randn(1, 4, 4, 4, 6, generator=torch.Generator().manual_seed(11))
    assert torch.equal(starting_noise(backbone, small()), fresh)
    inverted = torch.randn(1, 4, 4, 4, 6, generator=torch.Generator().manual_seed(4))
    blended = starting_noise(backbone, small(noise_prior=0.36), inverted)
    torch.testing.assert_close(blended, 0.6 * inverted + 0.8 * fresh)


def latent_clip(backbone: TinyBackbone, frames: int) -> LatentClip:
    """Latents of unit variance at 32 x 48 pixels."""
    latents = torch.randn(1, 4, frames, 4, 6, generator=torch.Generator().manual_seed(8))
    return LatentClip(
        latents=latents,
        prompt_embeds=encode_prompts(backbone, ["a red ball"]),
        prompt="a red ball",
        fps=8.0,
        digest="",
        source="ball.mp4",
    )


# Refusals, before the first step


@pytest.mark.parametrize(
    ("changes", "inverted_frames", "message"),
    [
        ({"frames": 17}, None, "17 frames are too many"),
        ({"noise_prior": 0.5}, None, "needs the reference's inverted latents"),
        ({"noise_prior": 0.5}, 8, r"\(1, 4, 8, 4, 6\); expected \(1, 4, 4, 4, 6\)"),
        ({}, 8, r"\(1, 4, 8, 4, 6\)"),
    ],
)
def test_what_cannot_be_sampled_is_refused_at_once(
    changes: dict[str, object], inverted_frames: int | None, message: str
):
    backbone = tiny_animatediff()
    inverted = None if inverted_frames is None else torch.zeros(1, 4, inverted_frames, 4, 6)

    refuse_to_encode(backbone)
    with pytest.raises(MotionError, match=message):
        generate(backbone, "a red ball", [], small(**changes), inverted)


def test_a_clip_beyond_the_positional_encoding_is_not_inverted():
    backbone = tiny_animatediff()
    clip = latent_clip(backbone, frames=17)
    refuse_to_encode(backbone)
    with pytest.raises(MotionError, match="17 frames are too many"):
        invert_clip(backbone, clip)


def refuse_to_encode(backbone: TinyBackbone) -> None:
    """Fails a test that gets as far as its prompt: on a large base that is seconds of waiting."""

    def fail(module: torch.nn.Module, args: tuple[Tensor, ...]) -> None:
        pytest.fail("the prompt was encoded first")

    backbone.text.model.register_forward_pre_hook(fail)
