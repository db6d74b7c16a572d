"""Motions in a Stable Diffusion MODEL, by the Apply node: the same numbers as the core's sampler,
and whatever ComfyUI does to a MODEL besides.

On shape world's trained weights and its schedule, which has zero terminal SNR, or on AnimateDiff's
plain one. The core merges adapters into weights; here they are added to what layers give, which
rounds otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.sd
import pytest
import torch
from comfy.context_windows import ContextSchedules
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import V_PREDICTION
from comfy.patcher_extension import WrappersMP
from diffusers import DDIMScheduler
from motion_adapters.nodes.apply import ApplyMotionToAnimateDiffEvolved
from motion_adapters.nodes.comfy_models.animatediff import (
    motion_network,
    norm_groups,
    with_motion_modules,
)
from motion_adapters.nodes.comfy_models.image_model import image_model
from motion_adapters.nodes.comfy_models.native import sample_objects
from motion_adapters.nodes.comfy_models.while_sampling import KEY
from motion_adapters.nodes.host.folders import register_folders
from torch import Tensor

from motion_core.adapters.base import Adapter
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.adapters.lora.keys import LoraPair
from motion_core.adapters.verb.adapter import VerbAdapter
from motion_core.backbones.animatediff import AnimateDiff
from motion_core.backbones.files.motion_modules import load_motion_modules
from motion_core.diffusion.encoding import encode_prompts
from motion_core.diffusion.generate import apply_adapters
from motion_core.errors import AdapterError, FormatError, MotionError
from motion_core.shape_world.base import ANIMATEDIFF, IMAGE, MOTION_MODULE, load_shape_world
from tests.comfyui.inside.motions import (
    KINDS,
    a_lora,
    an_embedding,
    comfy_lora,
    hooks_on,
    motion,
    on_animatediff,
    whole_weights,
    windows,
)
from tests.comfyui.inside.sampling import (
    FRAMES,
    NEGATIVE,
    PROMPT,
    SEED,
    animatediff_base,
    conditioning,
    core_sampled,
    distance,
    sampled,
)


@pytest.fixture(scope="module")
def backbone() -> AnimateDiff:
    return animatediff_base()


@pytest.fixture(scope="module")
def plain() -> AnimateDiff:
    """On AnimateDiff's schedule, without zero terminal SNR."""
    return animatediff_base(zero_terminal_snr=False)


@pytest.fixture
def image(backbone: AnimateDiff) -> ModelPatcher:
    """The image model as ComfyUI's loaders give it, without motion modules."""
    return image_model(backbone)


def assert_untouched(model: ModelPatcher) -> None:
    """Nothing is left on the UNet or the motion modules, and forwards are their classes' own."""
    for root in (model.model.diffusion_model, motion_network(model)):
        assert hooks_on(root) == 0
        assert not [name for name, m in root.named_modules() if "forward" in vars(m)]


def test_ksampler_is_the_cores_sampler(image: ModelPatcher, backbone: AnimateDiff) -> None:
    model, clip = on_animatediff(image)
    assert clip is None
    core = core_sampled(backbone)
    assert distance(sampled(model, backbone), core) < 1e-3
    # Without motion modules it is another video: the bound is no accident.
    assert distance(sampled(image, backbone), core) > 0.1


def test_denoiser_is_diffusers(image: ModelPatcher, backbone: AnimateDiff) -> None:
    """v-prediction: z_0 = ᾱ^½·z − (1 − ᾱ)^½·v̂, with v̂ of diffusers' UNetMotionModel. Two prompts at
    once, 5 frames each.
    """
    model, _ = on_animatediff(image)
    embeds = encode_prompts(backbone, [PROMPT, NEGATIVE])
    sampling = model.get_model_object("model_sampling")
    sigma = sampling.sigmas[500].expand(10)
    x = 2.0 * torch.randn(2 * 5, 4, 8, 8, generator=torch.Generator().manual_seed(SEED))
    z = sampling.calculate_input(sigma, x)
    options = {"cond_or_uncond": [0, 1], "wrappers": model.wrappers}
    comfy.model_management.load_models_gpu([model, *model.get_nested_additional_models()])
    with torch.no_grad():
        denoised = model.model.apply_model(
            *(x, sigma),
            c_crossattn=embeds.repeat_interleave(5, dim=0),
            transformer_options=options,
        )
        videos = z.unflatten(0, (2, 5)).transpose(1, 2)
        v = backbone.predict(videos, torch.tensor([500, 500]), embeds).transpose(1, 2).flatten(0, 1)
    alpha = backbone.scheduler.alphas_cumprod[500]
    assert torch.allclose(denoised, alpha**0.5 * z - (1.0 - alpha) ** 0.5 * v, atol=1e-4)


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("end", [0.7, 1.0])
def test_a_motion_plays_as_in_the_core(
    image: ModelPatcher, backbone: AnimateDiff, strength: float, end: float
) -> None:
    lora = a_lora(backbone, "temporal")
    model, _ = on_animatediff(image, {"m": lora}, temporal_strength=strength, end_percent=end)
    core = core_sampled(backbone, [(lora, strength)], end=end)
    assert distance(sampled(model, backbone), core) < 1e-3
    assert distance(core_sampled(backbone), core) > 0.02


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_every_kind_of_adapter_plays_as_in_the_core(
    image: ModelPatcher, plain: AnimateDiff, make: Callable[[AnimateDiff], Adapter]
) -> None:
    adapter = make(plain)
    model, _ = on_animatediff(
        *(image, {"m": adapter}),
        temporal_strength=0.8,
        spatial_strength=0.8,
        beta_schedule="linear",
    )
    core = core_sampled(plain, [(adapter, 0.8)], steps=5)
    assert distance(sampled(model, plain, steps=5), core) < 1e-4
    assert distance(core_sampled(plain, steps=5), core) > 0.02
    assert_untouched(model)


def test_motions_add_up(image: ModelPatcher, plain: AnimateDiff) -> None:
    """A LoRA and an embedding on the same projections, and looks, in one stack."""
    adapters = {
        "a": a_lora(plain, "temporal"),
        "b": an_embedding(plain),
        "c": a_lora(plain, "spatial", seed=5),
    }
    model, _ = on_animatediff(image, adapters, spatial_strength=0.5, beta_schedule="linear")
    pairs = [(adapters["a"], 1.0), (adapters["b"], 1.0), (adapters["c"], 0.5)]
    core = core_sampled(plain, pairs, steps=5)
    assert distance(sampled(model, plain, steps=5), core) < 1e-4


def test_strength_zero_is_no_motion_bit_for_bit(image: ModelPatcher, backbone: AnimateDiff) -> None:
    adapters = {"a": a_lora(backbone, "temporal"), "b": a_lora(backbone, "spatial")}
    plain = sampled(on_animatediff(image)[0], backbone, steps=3)
    off, _ = on_animatediff(image, adapters, temporal_strength=0.0, spatial_strength=0.0)
    assert torch.equal(sampled(off, backbone, steps=3), plain)
    assert not off.get_wrappers(WrappersMP.PREDICT_NOISE, KEY)


def test_the_given_model_is_untouched(image: ModelPatcher, backbone: AnimateDiff) -> None:
    plain = sampled(image, backbone, steps=3)
    weights = {name: tensor.clone() for name, tensor in image.model.state_dict().items()}
    model, _ = on_animatediff(
        image, {"m": a_lora(backbone, "temporal"), "s": a_lora(backbone, "spatial")}
    )
    moving = sampled(model, backbone, steps=3)
    assert not torch.equal(moving, plain)
    assert_untouched(model)
    assert torch.equal(sampled(image, backbone, steps=3), plain)
    assert torch.equal(sampled(model, backbone, steps=3), moving)
    after = image.model.state_dict()
    assert after.keys() == weights.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in weights.items())
    assert not image.wrappers.get(WrappersMP.DIFFUSION_MODEL)
    assert not image.additional_models and not image.object_patches


def test_clones_share_the_weights(image: ModelPatcher, backbone: AnimateDiff) -> None:
    model, _ = on_animatediff(image)
    clone = model.clone()
    assert clone.model is image.model
    assert motion_network(clone) is motion_network(model)
    assert torch.equal(sampled(clone, backbone, steps=2), sampled(model, backbone, steps=2))


@pytest.mark.parametrize(
    "error", [RuntimeError, comfy.model_management.InterruptProcessingException]
)
def test_an_exception_leaves_nothing_behind(
    image: ModelPatcher, backbone: AnimateDiff, error: type[BaseException]
) -> None:
    """From within the UNet, and between two steps."""
    adapters = {"a": a_lora(backbone, "temporal"), "b": an_embedding(backbone)}
    model, _ = on_animatediff(image, {**adapters, "s": a_lora(backbone, "spatial")})

    def fail(*given: Any) -> Any:
        raise error

    inside = model.clone()
    inside.set_model_attn2_patch(fail)
    with pytest.raises(error):
        sampled(inside, backbone, steps=2)
    assert_untouched(model)
    between = model.clone()
    between.set_model_sampler_post_cfg_function(fail)
    with pytest.raises(error):
        sampled(between, backbone, steps=2)
    assert_untouched(model)


def test_more_frames_than_positions_are_refused(image: ModelPatcher, backbone: AnimateDiff) -> None:
    model, _ = on_animatediff(image)
    with pytest.raises(MotionError, match=r"33 frames at once are too many .* at most 32.*Context"):
        sampled(model, backbone, frames=33, steps=1)
    assert_untouched(model)


def test_one_frame_is_an_image(image: ModelPatcher, backbone: AnimateDiff) -> None:
    """The motion modules are skipped; so is what adapters change in them."""
    model, _ = on_animatediff(image, {"m": a_lora(backbone, "temporal")})
    alone = sampled(model, backbone, frames=1, steps=3)
    assert distance(alone, sampled(image, backbone, frames=1, steps=3)) < 1e-6


@pytest.mark.parametrize(
    ("schedule", "length", "frames"),
    [
        (ContextSchedules.STATIC_STANDARD, 16, 40),
        (ContextSchedules.UNIFORM_STANDARD, 16, 40),
        (ContextSchedules.BATCHED, 16, 33),  # the last window is one frame
    ],
)
def test_context_windows(
    image: ModelPatcher, backbone: AnimateDiff, schedule: str, length: int, frames: int
) -> None:
    """Longer than the positions, with a motion; and a window as long as the video is the video."""
    model, _ = on_animatediff(image, {"m": a_lora(backbone, "temporal")})
    windowed = model.clone()
    windowed.model_options["context_handler"] = windows(length, 4, schedule)
    plain = sampled(model, backbone, steps=2)
    assert torch.equal(sampled(windowed, backbone, steps=2), plain)
    longer = sampled(windowed, backbone, frames=frames, steps=2)
    assert longer.isfinite().all() and len(longer) == frames
    assert_untouched(model)


def test_several_prompts(image: ModelPatcher, backbone: AnimateDiff) -> None:
    """One embedding for each frame; and three prompts in one call, of which the first two are the
    same: their mean is that prompt's.
    """
    model, _ = on_animatediff(image)
    plain = sampled(model, backbone, steps=2)
    by_frame = encode_prompts(backbone, [PROMPT]).repeat(FRAMES, 1, 1)
    assert distance(sampled(model, backbone, steps=2, positive=[[by_frame, {}]]), plain) < 1e-5
    twice = conditioning(backbone, PROMPT) * 2
    assert distance(sampled(model, backbone, steps=2, positive=twice), plain) < 1e-4
    other = [*conditioning(backbone, PROMPT), *conditioning(backbone, "a green square moving up")]
    assert distance(sampled(model, backbone, steps=2, positive=other), plain) > 1e-2


def test_comfyuis_own_loras_go_with_it(image: ModelPatcher, plain: AnimateDiff) -> None:
    """Loaded before the motion modules or after them: in both orders as in the core."""
    looks, moves = a_lora(plain, "spatial", seed=6), a_lora(plain, "temporal")
    core = core_sampled(plain, [(looks, 0.7), (moves, 1.0)], steps=5)
    first, _ = comfy.sd.load_lora_for_models(image, None, comfy_lora(looks), 0.7, 0.0)
    assert len(first.patches) == len(looks.pairs)
    before, _ = on_animatediff(first, {"m": moves}, beta_schedule="linear")
    assert distance(sampled(before, plain, steps=5), core) < 1e-4
    model, _ = on_animatediff(image, {"m": moves}, beta_schedule="linear")
    after, _ = comfy.sd.load_lora_for_models(model, None, comfy_lora(looks), 0.7, 0.0)
    assert distance(sampled(after, plain, steps=5), core) < 1e-4


def test_attention_patches_see_every_frame(image: ModelPatcher, backbone: AnimateDiff) -> None:
    """As IPAdapter replaces attention: the block's q, of all frames of both prompts."""
    seen: list[tuple[int, ...]] = []

    def nothing(query: Tensor, key: Tensor, value: Tensor, extra: dict[str, Any]) -> Tensor:
        seen.append(tuple(query.shape))
        return torch.zeros_like(query)

    model, _ = on_animatediff(image, {"m": a_lora(backbone, "temporal")})
    patched = model.clone()
    patched.set_model_attn2_replace(nothing, "middle", 0)
    changed = sampled(patched, backbone, steps=1)
    assert seen == [(2 * FRAMES, 16, 96)]
    assert not torch.equal(changed, sampled(model, backbone, steps=1))


def test_control_is_added_behind_the_motion_modules(
    image: ModelPatcher, backbone: AnimateDiff
) -> None:
    """A ControlNet's residuals, as diffusers' UNetMotionModel takes them."""
    model, _ = on_animatediff(image)
    skips = [(64, 8), (64, 8), (64, 4), (96, 4)]
    rng = torch.Generator().manual_seed(1)
    shapes = [(FRAMES, channels, size, size) for channels, size in [*skips, (96, 4)]]
    *outputs, middle = [torch.randn(shape, generator=rng) for shape in shapes]
    embeds = encode_prompts(backbone, [PROMPT]).repeat(FRAMES, 1, 1)
    z = torch.randn(FRAMES, 4, 8, 8, generator=rng)
    options = {"cond_or_uncond": [0], "wrappers": model.wrappers}
    with torch.no_grad():
        ours = model.model.diffusion_model(
            z,
            torch.full((FRAMES,), 500.0),
            context=embeds,
            control={"output": list(outputs), "middle": [middle]},
            transformer_options=options,
        )
        (theirs,) = backbone.network(
            z.transpose(0, 1)[None],
            torch.tensor([500]),
            embeds,
            down_block_additional_residuals=tuple(outputs),
            mid_block_additional_residual=middle,
            return_dict=False,
        )
    assert torch.allclose(ours, theirs[0].transpose(0, 1), atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float16, 2e-3), (torch.bfloat16, 2e-2), (torch.float8_e4m3fn, 0.3)],
)
def test_motion_modules_of_other_dtypes(
    image: ModelPatcher, backbone: AnimateDiff, dtype: torch.dtype, tolerance: float
) -> None:
    """Kept in few bits, computed in the UNet's float32; the error is of the order of rounding,
    2^-11, 2^-8 and 2^-4.
    """
    exact = sampled(on_animatediff(image)[0], backbone, steps=3)
    motion = load_motion_modules(MOTION_MODULE, ANIMATEDIFF, norm_groups(image), dtype)
    model = with_motion_modules(image, motion)
    assert next(motion_network(model).parameters()).dtype == dtype
    error = sampled(model, backbone, steps=3) - exact
    assert error.norm() / exact.norm() < tolerance


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_models_of_other_dtypes(backbone: AnimateDiff, dtype: torch.dtype) -> None:
    """Everything computes in the MODEL's dtype, adapters too."""
    adapters = {"a": a_lora(backbone, "temporal"), "b": an_embedding(backbone)}
    adapters |= {"s": a_lora(backbone, "spatial"), "w": whole_weights(backbone, "temporal")}
    model, _ = on_animatediff(image_model(backbone, dtype), adapters)
    assert next(motion_network(model).parameters()).dtype == dtype
    video = sampled(model, backbone, steps=3)
    core = core_sampled(backbone, [(adapter, 1.0) for adapter in adapters.values()], steps=3)
    assert video.isfinite().all()
    assert (video - core).norm() / core.norm() < (0.05 if dtype == torch.float16 else 0.3)


def test_memory_of_adapters_is_given_back(image: ModelPatcher, backbone: AnimateDiff) -> None:
    model, _ = on_animatediff(
        image, {"m": a_lora(backbone, "temporal"), "e": an_embedding(backbone)}
    )
    sampled(model, backbone, steps=1)
    (predict,) = model.get_wrappers(WrappersMP.PREDICT_NOISE, KEY)
    (hooks,) = predict.__self__._hooks
    parts = [part.release.__self__ for part in hooks._parts]
    changes = [part for part in parts if hasattr(part, "kept")]
    assert len(changes) == len(backbone.sites("temporal"))
    assert all(change.kept is None for change in changes)


@pytest.mark.parametrize(
    ("choice", "betas"), [("linear", "linear"), ("scaled_linear", "scaled_linear")]
)
def test_beta_schedules(image: ModelPatcher, choice: str, betas: str) -> None:
    """ᾱ = 1 / (1 + σ²) of diffusers' schedule of that name; the MODEL's prediction type stays."""
    model, _ = on_animatediff(image, beta_schedule=choice)
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule=betas)
    sampling = model.get_model_object("model_sampling")
    alphas = 1.0 / (1.0 + sampling.sigmas**2)
    assert torch.allclose(alphas, scheduler.alphas_cumprod, atol=1e-6)
    own = image.get_model_object("model_sampling")
    assert isinstance(sampling, V_PREDICTION) and isinstance(own, V_PREDICTION)


def test_the_models_own_schedule(image: ModelPatcher) -> None:
    model, _ = on_animatediff(image, beta_schedule="unchanged")
    own = image.get_model_object("model_sampling")
    assert model.get_model_object("model_sampling") is own


def test_what_does_not_fit_is_refused(
    image: ModelPatcher, backbone: AnimateDiff, comfy_base: Path
) -> None:
    model, _ = on_animatediff(image)
    with pytest.raises(AdapterError, match="already has motion modules"):
        on_animatediff(model)
    other = motion({"m": a_lora(backbone, "temporal")}, "zeroscope")
    with pytest.raises(AdapterError, match=r"zigzag: .*trained on zeroscope"):
        on_animatediff(image, stack=(other,))
    odd = {"down_blocks.7.motion_modules.0.proj_in": LoraPair(torch.ones(1, 2), torch.ones(2, 1))}
    lora = LoraAdapter(scope="temporal", family="animatediff", pairs=odd)
    with pytest.raises(AdapterError, match=r"no layer down_blocks\.7"):
        on_animatediff(image, {"m": lora})
    with pytest.raises(AdapterError, match="no motion model from AnimateDiff-Evolved"):
        ApplyMotionToAnimateDiffEvolved.execute(
            model=image, adapters=(), temporal_strength=1.0, spatial_strength=1.0
        )
    register_folders()
    folder = comfy_base / "models" / "animatediff_models"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "image.safetensors").write_bytes(IMAGE.read_bytes())
    with pytest.raises(FormatError, match=r"is an image UNet .*not an AnimateDiff motion module"):
        on_animatediff(image, motion_module="image.safetensors")


def test_motion_modules_of_another_width_are_refused(image: ModelPatcher) -> None:
    motion = load_motion_modules(MOTION_MODULE, ANIMATEDIFF, norm_groups(image))
    motion.channels[0] = 320
    with pytest.raises(AdapterError, match=r"\[320, 96\].*the MODEL has \[64, 96\]"):
        with_motion_modules(image, motion)


def a_verb(width: int = 64, frozen: bool = False) -> VerbAdapter:
    rng = torch.Generator().manual_seed(8)
    w1, w2 = torch.randn(6, 5 + width, generator=rng), torch.randn(width, 6, generator=rng)
    return VerbAdapter(
        scope="temporal",
        family="animatediff",
        verb="moving",
        frozen=frozen,
        w1=w1,
        w2=w2,
        video_embed=torch.randn(5, generator=rng),
        residual=torch.randn(width, generator=rng),
    )


@pytest.mark.parametrize("frozen", [False, True])
def test_prompts_get_what_motrans_adds_to_their_verb(backbone: AnimateDiff, frozen: bool) -> None:
    """As the core encodes with the adapter; the CLIP that was given stays as it was."""
    image, clip, _ = sample_objects(backbone)
    verb = a_verb(frozen=frozen)
    _, changed = on_animatediff(image, {"v": verb}, temporal_strength=0.6, clip=clip)
    prompts = [PROMPT, "a green square moving up and moving down on a dotted background", ""]
    plain = [encode(clip, prompt) for prompt in prompts]
    with apply_adapters(backbone, [(verb, 0.6)]):
        core = [encode_prompts(backbone, [prompt]) for prompt in prompts]
    for prompt, expected, before in zip(prompts, core, plain, strict=True):
        assert torch.allclose(encode(changed, prompt), expected, atol=1e-4)
        assert torch.equal(encode(clip, prompt), before)
    assert not torch.allclose(core[0], plain[0], atol=0.1)
    assert torch.equal(core[2], plain[2]) or torch.allclose(core[2], plain[2], atol=1e-4)


def encode(clip: comfy.sd.CLIP, prompt: str) -> Tensor:
    with torch.inference_mode():
        return clip.encode_from_tokens_scheduled(clip.tokenize(prompt))[0][0]


def test_weighted_and_long_prompts_have_verbs_too(backbone: AnimateDiff) -> None:
    """In the second piece of a long prompt, and within parentheses: only the verb's rows change."""
    image, clip, _ = sample_objects(backbone)
    _, changed = on_animatediff(image, {"v": a_verb(frozen=True)}, clip=clip)
    prompt = "a red circle " * 12 + "(moving:1.3) right"
    rows = (encode(changed, prompt) - encode(clip, prompt)).abs().amax(-1)[0].nonzero().flatten()
    tokens = [token for piece in clip.tokenize(prompt)["l"] for token, _ in piece]
    spelled = [clip.tokenizer.untokenize([(t, 1.0)])[0][1] for t in tokens]
    assert [spelled[row] for row in rows] == ["moving</w>"]
    assert rows[0] >= backbone.text.context_length


def test_a_verb_without_clip_is_said(image: ModelPatcher, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        _, clip = on_animatediff(image, {"v": a_verb()})
    assert clip is None and "no CLIP is connected" in caplog.text
    narrow = a_verb(width=32)
    base = load_shape_world(ANIMATEDIFF)
    assert isinstance(base, AnimateDiff)
    other, own, _ = sample_objects(base)
    _, changed = on_animatediff(other, {"v": narrow}, clip=own)
    with pytest.raises(AdapterError, match="width 32; these are 64"):
        encode(changed, PROMPT)
