"""Connected MODEL, CLIP and VAE as a base: the same weights, LoRAs baked in, inputs untouched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import comfy.model_management
import comfy.ops
import comfy.sd
import comfy.utils
import pytest
import torch
from comfy.patcher_extension import PatcherInjection
from motion_adapters.nodes.bases import SampleMotionBase
from motion_adapters.nodes.comfy_models.from_model import base_from_model, checkpoint_of
from motion_adapters.nodes.comfy_models.native import sample_objects
from motion_adapters.nodes.host.model_choices import SAMPLE_MODULE
from torch import Tensor

from motion_core.backbones.animatediff import AnimateDiff
from motion_core.diffusion.encoding import encode_prompts
from motion_core.shape_world.base import ANIMATEDIFF, MOTION_MODULE
from tests.comfyui.inside import base_objects
from tests.comfyui.inside.base_objects import (
    CORE_LAYER,
    LAYER,
    PROMPT,
    Objects,
    base_of,
    kohya_lora,
    outputs,
    randn,
)

# Fixtures.
core = base_objects.core
objects = base_objects.objects


@pytest.fixture
def unloaded() -> Iterator[None]:
    yield
    comfy.model_management.unload_all_models()


def text_weight(text: Any) -> Tensor:
    """The adapted weight of a core text tower, whose prefix depends on transformers' version."""
    state = text.model.state_dict()
    return next(t for name, t in state.items() if name.endswith("layers.1.self_attn.q_proj.weight"))


def test_a_base_from_the_objects_is_the_base_again(core: AnimateDiff, objects: Objects) -> None:
    with torch.inference_mode(False):
        again = base_from_model(*objects, MOTION_MODULE, version=ANIMATEDIFF)
    for mine, theirs in (
        (again.network, core.network),
        (again.vae, core.vae),
        (again.text.model, core.text.model),
    ):
        made = mine.state_dict()
        assert made.keys() == theirs.state_dict().keys()
        for name, tensor in theirs.state_dict().items():
            assert torch.equal(made[name], tensor), name
    assert again.scheduler.config["prediction_type"] == "v_prediction"
    torch.testing.assert_close(again.scheduler.alphas_cumprod, core.scheduler.alphas_cumprod)
    assert again.scheduler.config["timestep_spacing"] == "trailing"
    assert torch.equal(encode_prompts(again, [PROMPT]), encode_prompts(core, [PROMPT]))
    latents, embeds = randn(1, 4, 4, 8, 8), encode_prompts(core, [PROMPT])
    timesteps = torch.tensor([600])
    with torch.no_grad():
        expected = core.predict(latents, timesteps, embeds)
        assert torch.equal(again.predict(latents, timesteps, embeds), expected)


def test_a_base_from_inference_tensors_can_be_trained(objects: Objects) -> None:
    model, _, _ = objects
    assert next(model.model.diffusion_model.parameters()).is_inference()
    with torch.inference_mode(), torch.inference_mode(False):
        backbone = base_from_model(*objects, MOTION_MODULE)
        for part in (backbone.network, backbone.vae, backbone.text.model):
            tensors = [*part.parameters(), *part.buffers()]
            assert not any(tensor.is_inference() for tensor in tensors)
        weight = backbone.network.get_parameter(f"{CORE_LAYER}.weight").requires_grad_(True)
        embeds = encode_prompts(backbone, [PROMPT])
        backbone.predict(randn(1, 4, 3, 8, 8), torch.tensor([500]), embeds).sum().backward()
        assert weight.grad is not None and weight.grad.abs().sum() > 0


@pytest.mark.parametrize("loaded", [False, True])
def test_loras_are_baked_and_the_input_is_untouched(
    core: AnimateDiff, objects: Objects, loaded: bool, unloaded: None
) -> None:
    """W + strength·alpha/rank·up·down, whether ComfyUI has patched its own weights or not."""
    model, clip, vae = objects
    lora, delta, text_delta = kohya_lora(core)
    with torch.inference_mode():
        patched, patched_clip = comfy.sd.load_lora_for_models(model, clip, lora, 0.5, 2.0)
        if loaded:
            comfy.model_management.load_models_gpu([patched, patched_clip.patcher])
    weight = patched.model.diffusion_model.get_parameter(f"{LAYER}.weight")
    before = weight.clone()
    patches = {key: list(value) for key, value in patched.patches.items()}
    with torch.inference_mode(False):
        baked = base_from_model(patched, patched_clip, vae, MOTION_MODULE)
    own = core.network.get_parameter(f"{CORE_LAYER}.weight")
    torch.testing.assert_close(
        baked.network.get_parameter(f"{CORE_LAYER}.weight"), own + 0.5 * delta, atol=1e-6, rtol=1e-6
    )
    torch.testing.assert_close(
        text_weight(baked.text), text_weight(core.text) + 2.0 * text_delta, atol=1e-6, rtol=1e-6
    )
    assert torch.equal(before, own) is not loaded
    assert torch.equal(patched.model.diffusion_model.get_parameter(f"{LAYER}.weight"), before)
    assert {key: list(value) for key, value in patched.patches.items()} == patches


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_sources_of_lower_precision(
    core: AnimateDiff, objects: Objects, dtype: torch.dtype
) -> None:
    """Every weight is what the source's rounded one says, in float32."""
    with torch.inference_mode():
        model, clip, vae = sample_objects(core)
        model.model.diffusion_model.to(dtype)
    with torch.inference_mode(False):
        backbone = base_from_model(model, clip, vae, MOTION_MODULE)
    ours = backbone.network.get_parameter(f"{CORE_LAYER}.weight")
    assert ours.dtype == torch.float32
    assert torch.equal(ours, core.network.get_parameter(f"{CORE_LAYER}.weight").to(dtype).float())


def test_quantised_layers_are_unpacked(core: AnimateDiff) -> None:
    """float8 with a scale, as in quantised checkpoints: W = scale · q, then the LoRA."""
    with torch.inference_mode():
        model, clip, vae = sample_objects(core)
    weight = core.network.get_parameter(f"{CORE_LAYER}.weight")
    scale = weight.abs().max() / 448  # the largest float8_e4m3fn
    packed = (weight / scale).to(torch.float8_e4m3fn)
    layer = comfy.ops.mixed_precision_ops({}, torch.float32).Linear(*weight.shape, bias=False)
    about = torch.tensor(list(b'{"format": "float8_e4m3fn"}'), dtype=torch.uint8)
    layer.load_state_dict({"weight": packed, "weight_scale": scale, "comfy_quant": about})
    comfy.utils.set_attr(model.model.diffusion_model, LAYER, layer)
    changed, _ = comfy.sd.load_lora_for_models(model, None, kohya_lora(core)[0], 1.0, 0.0)
    with torch.inference_mode(False):
        backbone = base_from_model(changed, clip, vae, MOTION_MODULE)
    expected = packed.float() * scale + kohya_lora(core)[1]
    ours = backbone.network.get_parameter(f"{CORE_LAYER}.weight")
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-5)


def test_clip_skip_leaves_the_last_layers_out(core: AnimateDiff, objects: Objects) -> None:
    model, clip, vae = objects
    skipping = clip.clone()
    skipping.clip_layer(-2)
    with torch.inference_mode():
        expected = skipping.encode_from_tokens(skipping.tokenize(PROMPT))
    with torch.inference_mode(False):
        backbone = base_from_model(model, skipping, vae, MOTION_MODULE)
    assert backbone.text.model.config.num_hidden_layers == 2
    torch.testing.assert_close(encode_prompts(backbone, [PROMPT]), expected, atol=1e-5, rtol=1e-5)


def test_motion_modules_on_a_loaded_clone_stay_out_of_the_base(core: AnimateDiff) -> None:
    """The network is shared: what another node has put on it is none of the checkpoint's."""
    model, clip, vae, _, _ = outputs(SampleMotionBase, base="animatediff")
    before = base_of(model, clip, vae, SAMPLE_MODULE).name
    moving = model.clone()
    extra = torch.nn.Linear(2, 2)
    block = moving.model.diffusion_model.input_blocks[1]
    moving.set_injections(
        "other",
        [PatcherInjection(lambda _: block.append(extra), lambda _: block.pop(len(block) - 1))],
    )
    with torch.inference_mode():
        comfy.model_management.load_models_gpu([moving])
    assert block[-1] is extra
    assert base_of(model, clip, vae, SAMPLE_MODULE).name == before
    assert block[-1] is extra
    comfy.model_management.unload_all_models()


def test_what_is_no_weight_is_warned_of(objects: Objects, caplog: pytest.LogCaptureFixture) -> None:
    model, clip, vae = objects
    moving = model.clone()
    moving.set_additional_models("motion", [clip.patcher])
    checkpoint_of(moving, clip, vae)
    assert "motion cannot become part" in caplog.text
