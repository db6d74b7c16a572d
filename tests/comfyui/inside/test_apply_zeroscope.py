"""Apply Motion to ZeroScope: every kind of adapter plays in KSampler as in the core's sampler, and
leaves nothing behind.

The core merges what is here added to the layers' outputs, which rounds otherwise.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.sd
import pytest
import torch
from comfy.model_management import InterruptProcessingException
from comfy.model_patcher import ModelPatcher
from motion_adapters.nodes.comfy_models.image_model import image_model
from motion_adapters.nodes.comfy_models.native import sample_objects
from motion_adapters.nodes.comfy_models.zeroscope import zeroscope_model
from torch import Tensor, nn

from motion_core.adapters.base import Adapter
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.adapters.lora.keys import LoraPair, to_keys
from motion_core.adapters.verb.adapter import VerbAdapter
from motion_core.backbones.files.lora_names import PEFT_NAMES
from motion_core.backbones.zeroscope import ZeroScope
from motion_core.diffusion.encoding import encode_prompts
from motion_core.errors import AdapterError
from motion_core.shape_world.base import ANIMATEDIFF, load_shape_world
from tests.comfyui.inside.motions import (
    KINDS,
    a_lora,
    an_embedding,
    on_zeroscope,
    whole_weights,
)
from tests.comfyui.inside.sampling import (
    PROMPT,
    core_sampled,
    distance,
    sampled,
    zeroscope_base,
)


@pytest.fixture(scope="module")
def backbone() -> ZeroScope:
    return zeroscope_base()


@pytest.fixture
def model(backbone: ZeroScope) -> ModelPatcher:
    return zeroscope_model(backbone)


def assert_untouched(model: ModelPatcher) -> None:
    """No hooks are left, and forwards are their classes' own."""
    for name, module in model.model.diffusion_model.named_modules():
        assert not module._forward_hooks and not module._forward_pre_hooks, name
        assert "forward" not in vars(module), name


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("end", [0.7, 1.0])
def test_a_motion_plays_as_in_the_core(
    model: ModelPatcher, backbone: ZeroScope, strength: float, end: float
) -> None:
    lora = a_lora(backbone)
    patched, clip = on_zeroscope(model, {"m": lora}, temporal=strength, end=end)
    core = core_sampled(backbone, [(lora, strength)], end=end)
    assert clip is None
    assert distance(sampled(patched, backbone), core) < 1e-3
    assert distance(core_sampled(backbone), core) > 0.02


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_every_kind_of_adapter_plays_as_in_the_core(
    model: ModelPatcher, backbone: ZeroScope, make: Callable[[ZeroScope], Adapter]
) -> None:
    adapter = make(backbone)
    patched, _ = on_zeroscope(model, {"m": adapter}, temporal=0.8, spatial=0.8)
    core = core_sampled(backbone, [(adapter, 0.8)])
    assert distance(sampled(patched, backbone), core) < 1e-3
    assert distance(core_sampled(backbone), core) > 0.02
    assert_untouched(model)


def test_motions_add_up(model: ModelPatcher, backbone: ZeroScope) -> None:
    """A LoRA and an embedding on the same projections, and looks, in one stack."""
    moves, embedding, looks = a_lora(backbone), an_embedding(backbone), a_lora(backbone, "spatial")
    patched, _ = on_zeroscope(model, {"a": moves, "b": embedding, "c": looks}, spatial=0.5)
    core = core_sampled(backbone, [(moves, 1.0), (embedding, 1.0), (looks, 0.5)])
    assert distance(sampled(patched, backbone), core) < 1e-3


def test_strength_zero_is_no_motion_bit_for_bit(model: ModelPatcher, backbone: ZeroScope) -> None:
    adapters = {
        "a": a_lora(backbone),
        "b": a_lora(backbone, "spatial"),
        "c": an_embedding(backbone),
    }
    off, _ = on_zeroscope(model, adapters, temporal=0.0, spatial=0.0)
    assert torch.equal(sampled(off, backbone, steps=2), sampled(model, backbone, steps=2))


def test_the_given_model_is_untouched(model: ModelPatcher, backbone: ZeroScope) -> None:
    plain = sampled(model, backbone, steps=2)
    wrappers = copy.deepcopy(model.wrappers)
    weights = {name: tensor.clone() for name, tensor in model.model.state_dict().items()}
    patched, _ = on_zeroscope(model, {"m": a_lora(backbone), "e": an_embedding(backbone)})
    moving = sampled(patched, backbone, steps=2)
    assert not torch.equal(moving, plain)
    assert_untouched(patched)
    assert torch.equal(sampled(model, backbone, steps=2), plain)
    assert torch.equal(sampled(patched, backbone, steps=2), moving)
    after = model.model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in weights.items())
    assert model.wrappers == wrappers and not model.patches and not model.object_patches


@pytest.mark.parametrize("error", [RuntimeError, InterruptProcessingException])
def test_an_exception_leaves_nothing_behind(
    model: ModelPatcher, backbone: ZeroScope, error: type[BaseException]
) -> None:
    """From within the network, and between two steps."""

    def fail(*given: Any) -> Any:
        raise error

    patched, _ = on_zeroscope(model, {"a": a_lora(backbone), "b": an_embedding(backbone)})
    inside, between = patched.clone(), patched.clone()
    inside.set_model_attn2_patch(fail)
    between.set_model_sampler_post_cfg_function(fail)
    for failing in (inside, between):
        with pytest.raises(error):
            sampled(failing, backbone, steps=2)
        assert_untouched(model)


def test_comfyuis_own_loras_go_with_it(model: ModelPatcher, backbone: ZeroScope) -> None:
    """Looks from ComfyUI's LoRA loader, in diffusers' names."""
    looks, moves = a_lora(backbone, "spatial"), a_lora(backbone)
    core = core_sampled(backbone, [(looks, 0.7), (moves, 1.0)])
    lora = {
        f"diffusion_model.{k}": tensor for k, tensor in to_keys(looks.pairs, PEFT_NAMES).items()
    }
    with_looks, _ = comfy.sd.load_lora_for_models(model, None, lora, 0.7, 0.0)
    assert len(with_looks.patches) == len(looks.pairs)
    patched, _ = on_zeroscope(with_looks, {"m": moves})
    assert distance(sampled(patched, backbone), core) < 1e-3
    comfy.model_management.unload_all_models()
    assert_untouched(patched)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_motions_on_weights_of_other_dtypes(backbone: ZeroScope, dtype: torch.dtype) -> None:
    """Hooks compute in the dtype of the activations, so a motion moves what its base makes."""
    model = zeroscope_model(backbone, dtype)
    patched, _ = on_zeroscope(
        model, {"m": a_lora(backbone), "w": whole_weights(backbone, "temporal")}
    )
    moving = sampled(patched, backbone, steps=2)
    assert moving.isfinite().all()
    assert distance(moving, sampled(model, backbone, steps=2)) > 0.02


def test_a_motion_of_another_family_is_refused(model: ModelPatcher, backbone: ZeroScope) -> None:
    with pytest.raises(AdapterError, match="zigzag: The adapter was trained on animatediff"):
        on_zeroscope(model, {"m": a_lora(backbone)}, family="animatediff")


def test_another_model_is_refused(backbone: ZeroScope) -> None:
    other = image_model(load_shape_world(ANIMATEDIFF))  # type: ignore[arg-type]
    with pytest.raises(AdapterError, match=r"expected ZeroScope's\. Connect the MODEL from Load"):
        on_zeroscope(other, {"m": a_lora(backbone)})


def test_an_adapter_of_other_layers_is_refused(model: ModelPatcher, backbone: ZeroScope) -> None:
    pairs = {"down_blocks.7.nothing": LoraPair(torch.zeros(2, 4), torch.zeros(4, 2))}
    odd = LoraAdapter(scope="temporal", family="zeroscope", pairs=pairs)
    with pytest.raises(AdapterError, match=r"no layer down_blocks\.7\.nothing"):
        on_zeroscope(model, {"m": odd})


def encoded(clip: Any, prompt: str) -> Tensor:
    with torch.inference_mode():
        return clip.encode_from_tokens(clip.tokenize(prompt))


def test_a_verb_changes_the_clip(backbone: ZeroScope, caplog: pytest.LogCaptureFixture) -> None:
    """As the core's text encoder with the adapter; the given CLIP stays; without one it is said."""
    rng = torch.Generator().manual_seed(0)
    width = int(backbone.text.model.config.hidden_size)
    w1, w2 = torch.randn(8, 6 + width, generator=rng), torch.randn(width, 8, generator=rng)
    verb = VerbAdapter(
        scope="temporal",
        family="zeroscope",
        verb="moving",
        frozen=False,
        w1=w1,
        w2=w2,
        video_embed=torch.randn(6, generator=rng),
        residual=torch.randn(width, generator=rng),
    )
    model, clip, _ = sample_objects(backbone)
    plain = encode_prompts(backbone, [PROMPT])
    with verb.applied(backbone, 0.5):
        core = encode_prompts(backbone, [PROMPT])
    _, changed = on_zeroscope(model, {"v": verb}, temporal=0.5, clip=clip)
    length = core.shape[1]
    assert distance(encoded(changed, PROMPT)[:, :length], core) < 1e-4
    assert distance(encoded(clip, PROMPT)[:, :length], plain) < 1e-4
    assert distance(core, plain) > 0.1
    with caplog.at_level(logging.WARNING):
        assert on_zeroscope(model, {"v": verb})[1] is None
    assert "no CLIP is connected" in caplog.text


def test_modules_are_the_trained_ones(model: ModelPatcher, backbone: ZeroScope) -> None:
    """One implementation: every layer is of the class that the core trains, or ComfyUI's of it."""
    ours: dict[str, nn.Module] = dict(model.model.diffusion_model.named_modules())
    for name, module in backbone.network.named_modules():
        if name:
            assert isinstance(ours[name], type(module)), name
