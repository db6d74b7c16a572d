"""AnimateDiff's versions in a MODEL: v1, whose group norms take all frames together, and v2, which
has a motion module in the middle. On shape world's weights, under that version in the core as well.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sample
import pytest
import torch
from comfy.context_windows import ContextSchedules
from comfy.model_patcher import ModelPatcher
from diffusers import UNetMotionModel
from motion_adapters.nodes.comfy_models.animatediff import (
    motion_network,
    norm_groups,
    with_motion_modules,
)
from motion_adapters.nodes.comfy_models.image_model import image_model
from torch import Tensor, nn

from motion_core.backbones.animatediff import AnimateDiff
from motion_core.backbones.files.keys import motion_keys
from motion_core.backbones.files.loading import gather
from motion_core.backbones.files.motion_modules import load_motion_modules
from motion_core.backbones.files.tensors import write_tensors
from motion_core.diffusion.encoding import encode_prompts
from motion_core.shape_world.base import ANIMATEDIFF, MOTION_MODULE
from tests.comfyui.inside.motions import hooks_on, windows
from tests.comfyui.inside.sampling import (
    NEGATIVE,
    PROMPT,
    SEED,
    animatediff_base,
    core_sampled,
    distance,
    sampled,
)
from tests.versions import V1, as_version


@pytest.fixture(scope="module")
def first() -> AnimateDiff:
    return as_version(animatediff_base(), V1)


@pytest.fixture
def image(first: AnimateDiff) -> ModelPatcher:
    return image_model(first)


@pytest.fixture
def model(image: ModelPatcher) -> ModelPatcher:
    return with_motion_modules(image, load_motion_modules(MOTION_MODULE, V1, norm_groups(image)))


def predictions(
    model: ModelPatcher, backbone: AnimateDiff, frames: int, **residuals: Any
) -> tuple[Tensor, Tensor]:
    """The UNet's output for two prompts at once, of ComfyUI and of the core: (2·F, C, h, w)."""
    rng = torch.Generator().manual_seed(SEED)
    z = torch.randn(2 * frames, 4, 8, 8, generator=rng)
    embeds = encode_prompts(backbone, [PROMPT, NEGATIVE]).repeat_interleave(frames, dim=0)
    options = {"cond_or_uncond": [0, 1], "wrappers": model.wrappers}
    down, middle = residuals.get("down", ()), residuals.get("middle")
    control = {"output": list(down), "middle": [middle]} if down else None
    parts = [model, *model.get_nested_additional_models()]
    comfy.model_management.load_models_gpu(parts)
    with torch.no_grad():
        ours = model.model.diffusion_model(
            *(z, torch.full((2 * frames,), 500.0)),
            context=embeds,
            control=control,
            transformer_options=options,
        )
        (theirs,) = backbone.network(
            z.unflatten(0, (2, frames)).transpose(1, 2),
            torch.tensor([500, 500]),
            embeds,
            down_block_additional_residuals=tuple(down) or None,
            mid_block_additional_residual=middle,
            return_dict=False,
        )
    return ours, theirs.transpose(1, 2).flatten(0, 1)


def test_v1_is_the_cores(model: ModelPatcher, first: AnimateDiff) -> None:
    ours, theirs = predictions(model, first, frames=5)
    assert distance(ours, theirs) < 1e-4
    _, each_alone = predictions(model, as_version(first, ANIMATEDIFF), frames=5)
    assert distance(theirs, each_alone) > 0.01


def test_v1_with_a_controlnet_is_the_cores(model: ModelPatcher, first: AnimateDiff) -> None:
    rng = torch.Generator().manual_seed(1)
    sizes = [(64, 8), (64, 8), (64, 4), (96, 4), (96, 4)]
    *down, middle = [torch.randn(2 * 5, c, size, size, generator=rng) for c, size in sizes]
    ours, theirs = predictions(model, first, frames=5, down=down, middle=middle)
    assert distance(ours, theirs) < 1e-4


def test_v1_in_the_ksampler_is_the_cores_sampler(model: ModelPatcher, first: AnimateDiff) -> None:
    assert distance(sampled(model, first, steps=10), core_sampled(first, steps=10)) < 1e-3
    each_alone = core_sampled(as_version(first, ANIMATEDIFF), steps=10)
    assert distance(core_sampled(first, steps=10), each_alone) > 0.02


def test_one_frame_is_an_image(
    model: ModelPatcher, image: ModelPatcher, first: AnimateDiff
) -> None:
    ours, alone = (sampled(each, first, frames=1, steps=3) for each in (model, image))
    assert distance(ours, alone) < 1e-6


def test_a_context_window_is_what_is_taken_together(
    model: ModelPatcher, first: AnimateDiff
) -> None:
    """Windows side by side: the first, of four frames, is that video by itself."""
    windowed = model.clone()
    windowed.model_options["context_handler"] = windows(4, 0, ContextSchedules.BATCHED)
    longer = sampled(windowed, first, frames=7, steps=3)
    assert distance(longer[:4], sampled(model, first, frames=4, steps=3)) < 1e-5
    assert longer.isfinite().all()


def test_partial_load_is_full_load(model: ModelPatcher, first: AnimateDiff) -> None:
    """Both models with a third of their weights loaded, as lowvram does."""
    plain = sampled(model, first, steps=1)
    for part in (model, *model.get_nested_additional_models()):
        part.unpatch_model(torch.device("cpu"))
        part.patch_model(torch.device("cpu"), lowvram_model_memory=part.model_size() // 3)
        assert part.model.model_lowvram
    assert distance(sampled(model, first, steps=1), plain) < 1e-5
    comfy.model_management.unload_all_models()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_models_of_other_dtypes(first: AnimateDiff, dtype: torch.dtype) -> None:
    """ComfyUI casts the norms' weights on the way; the error is that of rounding."""
    image = image_model(first, dtype)
    model = with_motion_modules(image, load_motion_modules(MOTION_MODULE, V1, norm_groups(image)))
    exact = core_sampled(first, steps=3)
    error = sampled(model, first, steps=3) - exact
    assert error.norm() / exact.norm() < (0.05 if dtype == torch.float16 else 0.3)


def test_the_given_model_is_untouched(image: ModelPatcher, first: AnimateDiff) -> None:
    """While the clone is there, and when it is gone."""
    plain = sampled(image, first, steps=3)
    weights = {name: tensor.clone() for name, tensor in image.model.state_dict().items()}
    kinds = [type(part) for part in image.model.modules()]
    model = with_motion_modules(image, load_motion_modules(MOTION_MODULE, V1, norm_groups(image)))
    moving = sampled(model, first, steps=3)
    assert distance(moving, plain) > 0.1
    assert torch.equal(sampled(image, first, steps=3), plain)
    assert torch.equal(sampled(model, first, steps=3), moving)
    assert hooks_on(image.model, motion_network(model)) == 0
    del model
    gc.collect()
    assert torch.equal(sampled(image, first, steps=3), plain)
    after = image.model.state_dict()
    assert after.keys() == weights.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in weights.items())
    assert [type(part) for part in image.model.modules()] == kinds


def test_an_exception_leaves_nothing_behind(model: ModelPatcher, first: AnimateDiff) -> None:
    def fail(*given: Any) -> Any:
        raise RuntimeError("from within the UNet")

    failing = model.clone()
    failing.set_model_attn2_patch(fail)
    with pytest.raises(RuntimeError, match="from within"):
        sampled(failing, first, steps=3)
    assert hooks_on(model.model, motion_network(model)) == 0


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> tuple[AnimateDiff, Path]:
    """Shape world with another motion module in the middle, and its modules in the authors' form,
    which says by itself that it is v2.
    """
    base = animatediff_base()
    config = {**base.network.config, "use_motion_mid_block": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNetMotionModel(**config)
        missing, unexpected = unet.load_state_dict(base.network.state_dict(), strict=False)
        for parameter in unet.mid_block.motion_modules.parameters():
            nn.init.normal_(parameter, std=0.1)
    assert missing and not unexpected
    assert all(name.startswith("mid_block.motion_modules.0.") for name in missing)
    file = tmp_path_factory.mktemp("v2") / "mm.safetensors"
    names = [name for name in unet.state_dict() if ".motion_modules." in name]
    write_tensors(file, gather(unet, motion_keys(names)), {})
    backbone = AnimateDiff(
        network=unet,
        vae=base.vae,
        text=base.text,
        scheduler=base.scheduler,
        version="animatediff-sd15-v2",
        licence="test",
    )
    return backbone, file


def test_v2_is_the_cores(second: tuple[AnimateDiff, Path]) -> None:
    backbone, file = second
    image = image_model(backbone)
    motion = load_motion_modules(file, None, norm_groups(image))
    assert motion.version == backbone.version
    model = with_motion_modules(image, motion)
    ours, theirs = predictions(model, backbone, frames=5)
    assert distance(ours, theirs) < 1e-4
    assert distance(sampled(model, backbone, steps=10), core_sampled(backbone, steps=10)) < 1e-3
    middle = motion_network(model).mid_block.motion_modules[0]
    nn.init.zeros_(middle.proj_out.weight)
    nn.init.zeros_(middle.proj_out.bias)
    without, _ = predictions(model, backbone, frames=5)
    assert distance(without, theirs) > 0.01
