"""ZeroScope as a native MODEL: the same numbers as the core's sampler and diffusers' UNet, and what
ComfyUI does to a MODEL (dtypes, partial loading, LoRA, ControlNet, patches, context windows).

On shape world's trained weights and its schedule, which has zero terminal SNR.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.sd
import comfy_extras.nodes_freelunch
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from motion_adapters.nodes.comfy_models.zeroscope import zeroscope_model
from torch import Tensor

from motion_core.backbones.zeroscope import ZeroScope
from motion_core.diffusion.encoding import encode_prompts
from motion_core.errors import MotionError
from tests.comfyui.inside import sampling
from tests.comfyui.inside.motions import windows
from tests.comfyui.inside.sampling import (
    FRAMES,
    NEGATIVE,
    PROMPT,
    SEED,
    core_sampled,
    diffusers_sampled,
    distance,
    sampled,
    zeroscope_base,
)
from tests.tiny import tiny_zeroscope


@pytest.fixture(scope="module")
def backbone() -> ZeroScope:
    return zeroscope_base()


@pytest.fixture
def model(backbone: ZeroScope) -> ModelPatcher:
    return zeroscope_model(backbone)


@torch.no_grad()
def network_output(model: ModelPatcher, x: Tensor, context: Tensor, **kwargs: Any) -> Tensor:
    """The network's own output at timestep 500: (B·F, C, h, w)."""
    timesteps = torch.full((len(x),), 500.0)
    return model.model.diffusion_model(x, timesteps, context=context, **kwargs)


def noisy(frames: int = FRAMES, height: int = 8, width: int = 8, videos: int = 1) -> Tensor:
    rng = torch.Generator().manual_seed(SEED)
    return torch.randn(videos * frames, 4, height, width, generator=rng)


def by_frame(embeds: Tensor, frames: int = FRAMES) -> Tensor:
    return embeds.repeat_interleave(frames, dim=0)


@torch.no_grad()
def diffusers_output(backbone: ZeroScope, x: Tensor, embeds: Tensor, **kwargs: Any) -> Tensor:
    """diffusers' own forward on the same frames."""
    videos = x.unflatten(0, (len(embeds), -1)).transpose(1, 2)
    timesteps = torch.full((len(embeds),), 500)
    (out,) = backbone.network(videos, timesteps, embeds, return_dict=False, **kwargs)
    return out.transpose(1, 2).flatten(0, 1)


@pytest.mark.parametrize("size", [(8, 8), (10, 14), (7, 9)])
def test_network_is_diffusers(model: ModelPatcher, backbone: ZeroScope, size: tuple[int, int]):
    """Two conditionings at once; also for latents that halve to odd sizes."""
    embeds = encode_prompts(backbone, [PROMPT, NEGATIVE])
    x = noisy(5, *size, videos=2)
    options = {"cond_or_uncond": [0, 1]}
    ours = network_output(model, x, by_frame(embeds, 5), transformer_options=options)
    assert torch.allclose(ours, diffusers_output(backbone, x, embeds), atol=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_apply_model_gives_the_clean_latents(prediction: str):
    """x_VE = z·sqrt(σ² + 1). ε: x_0 = x_VE − σ·ε̂. v: x_0 = (z − σ·v̂) / sqrt(σ² + 1)."""
    base = tiny_zeroscope(prediction)  # type: ignore[arg-type]
    model, embeds = zeroscope_model(base), encode_prompts(base, ["a"])
    sigma = model.model.model_sampling.sigmas[500]
    z = noisy()
    x, sigmas = z * (sigma**2 + 1) ** 0.5, sigma.expand(FRAMES)
    with torch.no_grad():
        denoised = model.model.apply_model(x, sigmas, c_crossattn=by_frame(embeds))
    out = diffusers_output(base, z, embeds)
    expected = (
        x - sigma * out if prediction == "epsilon" else (z - sigma * out) / (sigma**2 + 1) ** 0.5
    )
    assert torch.allclose(denoised, expected, atol=1e-4)
    alpha = base.scheduler.alphas_cumprod[500]
    assert torch.allclose(sigma, ((1 - alpha) / alpha).sqrt())


@pytest.mark.parametrize("zero_terminal_snr", [False, True])
def test_ksampler_is_the_cores_sampler_and_diffusers(zero_terminal_snr: bool):
    base = zeroscope_base(zero_terminal_snr)
    ours = sampled(zeroscope_model(base), base)
    assert distance(ours, core_sampled(base)) < 1e-3
    assert distance(ours, diffusers_sampled(base)) < 1e-3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ksampler_starts_from_noise_alone(
    model: ModelPatcher, backbone: ZeroScope, seed: int, monkeypatch: pytest.MonkeyPatch
):
    """Any noise: what the first step leaves of a large σ is no more than rounding."""
    assert float(backbone.scheduler.alphas_cumprod[-1]) == 0.0
    monkeypatch.setattr(sampling, "SEED", seed)
    assert distance(sampled(model, backbone), core_sampled(backbone)) < 1e-4


@pytest.mark.parametrize("prompts", [1, FRAMES])
def test_conditioning_by_frame(model: ModelPatcher, backbone: ZeroScope, prompts: int):
    """The same prompt once or for each frame is the same video; another one for the last frame is
    not.
    """
    embeds = encode_prompts(backbone, [PROMPT]).repeat(prompts, 1, 1)
    plain = sampled(model, backbone, steps=2)
    assert torch.equal(sampled(model, backbone, steps=2, positive=[[embeds, {}]]), plain)
    if prompts > 1:
        embeds[-1] = encode_prompts(backbone, ["a green square moving up"])[0]
        assert not torch.equal(sampled(model, backbone, steps=2, positive=[[embeds, {}]]), plain)


def test_one_frame_is_refused(model: ModelPatcher, backbone: ZeroScope):
    with pytest.raises(MotionError, match="1 frame; ZeroScope needs at least 2"):
        sampled(model, backbone, frames=1)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [
        (torch.float16, 0.01),
        (torch.bfloat16, 0.08),
        (torch.float8_e4m3fn, 0.5),
        (torch.float8_e5m2, 0.9),
    ],
)
def test_weights_of_other_dtypes(backbone: ZeroScope, dtype: torch.dtype, tolerance: float):
    """The relative error of the output is of the order of the weights' rounding, 2^-11, 2^-8, 2^-4
    and 2^-3, through some thirty layers.
    """
    model = zeroscope_model(backbone, dtype)
    assert model.model.get_dtype() == dtype
    assert model.model.manual_cast_dtype == torch.float32  # on a CPU
    embeds = encode_prompts(backbone, [PROMPT])
    exact = diffusers_output(backbone, noisy(), embeds)
    error = network_output(model, noisy(), by_frame(embeds)) - exact
    assert 0.0 < error.norm() / exact.norm() < tolerance
    assert sampled(model, backbone, steps=2).isfinite().all()


def test_partial_load_is_full_load(model: ModelPatcher, backbone: ZeroScope):
    """With a LoRA, which lowvram computes at every call. Weights of which a third may be loaded."""
    patched, loaded = with_lora(model)
    assert loaded
    with torch.no_grad():
        results = []
        for memory in (0, model.model_size() // 3):
            patched.patch_model(torch.device("cpu"), lowvram_model_memory=memory)
            assert patched.model.model_lowvram == (memory > 0)
            embeds = by_frame(encode_prompts(backbone, [PROMPT]))
            results.append(network_output(patched, noisy(), embeds))
            patched.unpatch_model(torch.device("cpu"))
    assert torch.allclose(*results, atol=1e-5)
    assert not torch.allclose(results[0], network_output(model, noisy(), embeds), atol=1e-3)


def with_lora(model: ModelPatcher) -> tuple[ModelPatcher, bool]:
    """A clone with a LoRA in kohya's names on one spatial layer."""
    name = "down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    rng = torch.Generator().manual_seed(0)
    lora = {
        f"lora_unet_{name}.lora_up.weight": torch.randn(64, 4, generator=rng) * 0.3,
        f"lora_unet_{name}.lora_down.weight": torch.randn(4, 64, generator=rng) * 0.3,
        f"lora_unet_{name}.alpha": torch.tensor(4.0),
    }
    patched, _ = comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)
    return patched, len(patched.patches) == 1


def test_lora_leaves_the_model_and_the_backbone_alone(model: ModelPatcher, backbone: ZeroScope):
    before = {name: tensor.clone() for name, tensor in backbone.network.state_dict().items()}
    plain = sampled(model, backbone, steps=2)
    assert not torch.equal(sampled(with_lora(model)[0], backbone, steps=2), plain)
    assert torch.equal(sampled(model, backbone, steps=2), plain)
    after = backbone.network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_weights_are_shared_with_the_backbone(model: ModelPatcher, backbone: ZeroScope):
    ours = model.model.diffusion_model.state_dict()
    assert ours.keys() == backbone.network.state_dict().keys()
    assert all(
        tensor.data_ptr() == ours[name].data_ptr()
        for name, tensor in backbone.network.state_dict().items()
    )
    own = {id(parameter) for parameter in model.model.parameters()}
    assert not own & {id(parameter) for parameter in backbone.network.parameters()}


def test_control_residuals(model: ModelPatcher, backbone: ZeroScope):
    """ControlNet's lists are taken off from their ends; diffusers has the skips' in their order."""
    skips = [(64, 8), (64, 8), (64, 4), (96, 4)]
    rng = torch.Generator().manual_seed(1)
    shapes = [(FRAMES, channels, size, size) for channels, size in [*skips, (96, 4)]]
    *outputs, middle = [torch.randn(shape, generator=rng) for shape in shapes]
    embeds = encode_prompts(backbone, [PROMPT])
    expected = diffusers_output(
        backbone,
        noisy(),
        embeds,
        down_block_additional_residuals=tuple(outputs),
        mid_block_additional_residual=middle,
    )
    control = {"output": list(outputs), "middle": [middle]}
    ours = network_output(model, noisy(), by_frame(embeds), control=control)
    assert torch.allclose(ours, expected, atol=1e-4)


def places_seen(seen: list[tuple[str, int]]) -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    def patch(query: Tensor, context: Tensor, value: Tensor, extra: dict[str, Any]):
        seen.append(extra["block"])
        assert extra["n_heads"] * extra["dim_head"] == query.shape[-1]
        return query, context, value

    return patch


def test_attention_patches_see_every_spatial_transformer(model: ModelPatcher, backbone: ZeroScope):
    """Attention at the upper level and in the middle: input 0 is conv_in, 2 the downsampler."""
    seen: list[tuple[str, int]] = []
    patched = model.clone()
    patched.set_model_attn2_patch(places_seen(seen))
    plain = sampled(model, backbone, steps=1)
    assert torch.equal(sampled(patched, backbone, steps=1), plain)
    assert seen == [("input", 1), ("middle", 0), ("output", 2), ("output", 3)]


@pytest.mark.parametrize("kind", ["attn1", "attn2"])
def test_attention_replaced_in_one_block(model: ModelPatcher, backbone: ZeroScope, kind: str):
    """As IPAdapter does it: called with the projected q, k and v of that block alone."""
    calls: list[tuple[int, ...]] = []

    def nothing(query: Tensor, key: Tensor, value: Tensor, extra: dict[str, Any]) -> Tensor:
        calls.append(tuple(query.shape))
        assert extra["cond_or_uncond"] in ([0, 1], [1, 0])
        return torch.zeros_like(query)

    patched = model.clone()
    getattr(patched, f"set_model_{kind}_replace")(nothing, "middle", 0)
    changed = sampled(patched, backbone, steps=1)
    assert calls == [(2 * FRAMES, 16, 96)]
    assert not torch.equal(changed, sampled(model, backbone, steps=1))


def test_freeu_runs(model: ModelPatcher, backbone: ZeroScope):
    """A node of ComfyUI's that patches output blocks of 4 times and 2 times the model's channels,
    of which there are none here; then of one that there is.
    """
    (patched,) = comfy_extras.nodes_freelunch.FreeU_V2.execute(model, 1.3, 1.4, 0.9, 0.2).args
    plain = sampled(model, backbone, steps=1)
    assert torch.equal(sampled(patched, backbone, steps=1), plain)
    halved = model.clone()
    halved.set_model_output_block_patch(lambda hidden, skip, options: (hidden * 0.5, skip))
    assert not torch.equal(sampled(halved, backbone, steps=1), plain)


def test_context_windows(model: ModelPatcher, backbone: ZeroScope):
    """A window as long as the video is the video; of shorter ones the network never sees the whole
    (newer ComfyUI puts one frame before a window).
    """
    lengths: list[int] = []

    def watch(run: Callable[..., Tensor], given: dict[str, Any]) -> Tensor:
        lengths.append(len(given["input"]) // len(given["cond_or_uncond"]))
        return run(given["input"], given["timestep"], **given["c"])

    windowed = model.clone()
    windowed.set_model_unet_function_wrapper(watch)
    windowed.model_options["context_handler"] = windows(8, 4)
    assert torch.equal(sampled(windowed, backbone, steps=2), sampled(model, backbone, steps=2))
    lengths.clear()
    longer = sampled(windowed, backbone, frames=16, steps=2)
    assert longer.isfinite().all() and set(lengths) <= {8, 9}


def test_memory_estimate_grows_with_the_frames(model: ModelPatcher):
    one, two = (model.memory_required([frames, 4, 40, 72]) for frames in (12, 24))
    assert two == pytest.approx(2 * one)
