"""AnimateDiff's and ZeroScope's MODEL where memory is short: weights taken out while it samples,
evicted and loaded again, in fp8 and half precision, and stopped halfway. What was sampled before is
sampled again, and every weight comes back bit for bit.

On a CPU ComfyUI always loads everything; so memory is taken away after that, by the same call by
which it makes room for other models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.model_management as management
import comfy.ops
import comfy.sd
import pytest
import torch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from motion_adapters.nodes.comfy_models.image_model import image_model
from motion_adapters.nodes.comfy_models.native import sample_objects
from motion_adapters.nodes.comfy_models.schedule import model_type
from motion_adapters.nodes.comfy_models.zeroscope import zeroscope_model
from torch import Tensor, nn

from motion_core.adapters.base import Adapter
from motion_core.backbones.animatediff import AnimateDiff
from tests.comfyui.inside import any_base
from tests.comfyui.inside.any_base import moving, plain_model
from tests.comfyui.inside.motions import (
    a_lora,
    an_embedding,
    comfy_lora,
    hooks_on,
    whole_weights,
)
from tests.comfyui.inside.sampling import (
    Backbone,
    distance,
    sampled,
)

CPU = torch.device("cpu")
STEPS = 2

# Fixtures.
backbone = any_base.backbone


def model_in(dtype: torch.dtype, backbone: Backbone) -> ModelPatcher:
    """Without motion modules; fp8 and half precision are computed with in float32."""
    if isinstance(backbone, AnimateDiff):
        return image_model_of(backbone, dtype)
    return zeroscope_model(backbone, dtype)


def image_model_of(backbone: AnimateDiff, dtype: torch.dtype) -> ModelPatcher:
    """As ComfyUI's loaders make a checkpoint whose weights they keep in this dtype."""
    image = image_model(backbone)
    config = image.model.model_config
    config.set_inference_dtype(dtype, management.unet_manual_cast(dtype, CPU))
    model = BaseModel(config, model_type(backbone.scheduler), CPU)
    model.model_sampling = image.model.model_sampling
    for module in model.diffusion_model.modules():
        if isinstance(module, nn.GroupNorm):
            module.num_groups = backbone.network.config["norm_num_groups"]
    model.diffusion_model.load_state_dict(image.model.diffusion_model.state_dict())
    model.diffusion_model.requires_grad_(False)
    return ModelPatcher(model, CPU, CPU)


def with_looks(model: ModelPatcher, backbone: Backbone) -> ModelPatcher:
    """With a LoRA that ComfyUI merges into the weights, or computes at each call."""
    lora = a_lora(backbone, "spatial", seed=6)
    looking, _ = comfy.sd.load_lora_for_models(model, None, comfy_lora(lora), 0.7, 0.0)
    assert len(looking.patches) == len(lora.pairs)
    return looking


def with_motions(model: ModelPatcher, backbone: Backbone) -> ModelPatcher:
    """Of every kind that is computed beside the weights."""
    adapters: dict[str, Adapter] = {
        "lora": a_lora(backbone),
        "embedding": an_embedding(backbone),
        "weights": whole_weights(backbone, "temporal"),
    }
    return moving(model, backbone, adapters)


def parts(model: ModelPatcher) -> list[ModelPatcher]:
    """All that ComfyUI loads for it."""
    return [model, *model.get_nested_additional_models()]


def weights_of(model: ModelPatcher) -> dict[str, Tensor]:
    """Copies, without the patches that lie on them."""
    management.unload_all_models()
    return {
        f"{index}.{name}": tensor.clone()
        for index, part in enumerate(parts(model))
        for name, tensor in part.model.state_dict().items()
    }


def assert_same_weights(model: ModelPatcher, before: Mapping[str, Tensor]) -> None:
    after = weights_of(model)
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        assert after[name].dtype == tensor.dtype
        assert torch.equal(after[name].view(torch.uint8), tensor.view(torch.uint8)), name


def starved(model: ModelPatcher) -> tuple[ModelPatcher, list[int]]:
    """A clone of which all parts lose two thirds of their weights once they are loaded; and what
    was left of each.
    """
    left: list[int] = []

    def starve(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
        for part in parts(clone):
            part.partially_unload(CPU, part.model_size() * 2 // 3)
            assert part.model.model_lowvram
            left.append(part.loaded_size())
        return executor(*args, **kwargs)

    clone = model.clone()
    clone.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, "starved", starve)
    return clone, left


def test_weights_are_taken_out_while_it_samples(backbone: Backbone) -> None:
    """The merged LoRA is then added at each call, which rounds otherwise."""
    model = with_motions(with_looks(plain_model(backbone), backbone), backbone)
    before = weights_of(model)
    plain = sampled(model, backbone, steps=STEPS)
    starving, left = starved(model)
    assert distance(sampled(starving, backbone, steps=STEPS), plain) < 1e-4
    assert len(left) == len(parts(model))
    for size, part in zip(left, parts(model), strict=True):
        assert size < part.model_size() // 2
    assert torch.equal(sampled(model, backbone, steps=STEPS), plain)
    assert_same_weights(model, before)


def test_evicted_between_samplings(backbone: Backbone) -> None:
    """By another MODEL on the same network, by making room, and by everything being unloaded."""
    base = plain_model(backbone)
    model = with_motions(with_looks(base, backbone), backbone)
    before = weights_of(model)
    first = sampled(model, backbone, steps=STEPS)
    other = sampled(base, backbone, steps=STEPS)
    assert torch.equal(sampled(model, backbone, steps=STEPS), first)
    management.free_memory(1e30, CPU)
    assert not any(part.loaded_size() for part in parts(model))
    assert torch.equal(sampled(model, backbone, steps=STEPS), first)
    management.unload_all_models()
    assert torch.equal(sampled(base, backbone, steps=STEPS), other)
    assert_same_weights(model, before)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float16, 2e-3), (torch.bfloat16, 2e-2), (torch.float8_e4m3fn, 0.3)],
)
def test_weights_in_few_bits(backbone: Backbone, dtype: torch.dtype, tolerance: float) -> None:
    """Rounded to 2^-11, 2^-8 and 2^-4; motions and the merged LoRA play on them as on exact ones,
    starved too, and leave them as they were.
    """
    exact = sampled(
        with_motions(with_looks(plain_model(backbone), backbone), backbone), backbone, steps=2
    )
    base = model_in(dtype, backbone)
    assert base.model.get_dtype() == dtype and base.model.manual_cast_dtype == torch.float32
    model = with_motions(with_looks(base, backbone), backbone)
    before = weights_of(model)
    rounded = sampled(model, backbone, steps=STEPS)
    assert 0.0 < (rounded - exact).norm() / exact.norm() < tolerance
    assert distance(rounded, sampled(base, backbone, steps=STEPS)) > 0.1
    starving, _ = starved(model)
    few = sampled(starving, backbone, steps=STEPS)
    assert (few - exact).norm() / exact.norm() < tolerance
    assert torch.equal(sampled(model, backbone, steps=STEPS), rounded)
    assert_same_weights(model, before)


@pytest.mark.parametrize("short_of_memory", [False, True])
def test_stopped_halfway(backbone: Backbone, short_of_memory: bool) -> None:
    """By the flag that ComfyUI's Cancel sets, seen before the next step."""
    model = with_motions(with_looks(plain_model(backbone), backbone), backbone)
    before = weights_of(model)
    first = sampled(model, backbone, steps=STEPS)
    stopping = starved(model)[0] if short_of_memory else model.clone()
    steps: list[float] = []

    def stop(given: dict[str, Any]) -> Tensor:
        steps.append(float(given["sigma"].max()))
        management.interrupt_current_processing()
        return given["denoised"]

    stopping.set_model_sampler_post_cfg_function(stop)
    with pytest.raises(management.InterruptProcessingException):
        sampled(stopping, backbone, steps=4)
    assert len(steps) == 1 and not management.processing_interrupted()
    for part in parts(model):
        assert hooks_on(part.model) == 0
    assert torch.equal(sampled(model, backbone, steps=STEPS), first)
    assert_same_weights(model, before)


def test_made_where_layers_wait_for_their_weights(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dynamic VRAM, the default on NVIDIA, ComfyUI makes layers without weights."""
    switch = pytest.importorskip("comfy.memory_management", reason="newer than this ComfyUI")
    model, _, vae = sample_objects(backbone)
    video = sampled(with_motions(model, backbone), backbone, steps=STEPS)
    with monkeypatch.context() as patch:
        patch.setattr(switch, "aimdo_enabled", True)
        assert comfy.ops.disable_weight_init.Linear(2, 2).weight is None
        late, _, late_vae = sample_objects(backbone)
        late = with_motions(late, backbone)
    assert torch.equal(sampled(late, backbone, steps=STEPS), video)
    with torch.inference_mode():
        assert torch.equal(late_vae.decode(video[:1]), vae.decode(video[:1]))
