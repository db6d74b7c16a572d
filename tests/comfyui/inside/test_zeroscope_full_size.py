"""ZeroScope as a MODEL at its full size against diffusers' UNet, with random weights.

4 frames of 8x8 latents in 2 steps. 5.6 GB of weights, which MODEL and base share.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import UNet3DConditionModel
from motion_adapters.nodes.comfy_models.zeroscope import zeroscope_model
from torch import Tensor

from motion_core.backbones.files.architecture import ZEROSCOPE_SCHEDULER
from motion_core.backbones.files.components import load_scheduler
from motion_core.backbones.zeroscope import ZeroScope
from tests.comfyui.inside.motions import a_lora, on_zeroscope
from tests.comfyui.inside.sampling import (
    SEED,
    core_sampled,
    diffusers_sampled,
    distance,
    sampled,
    zeroscope_base,
)

SHORT: dict[str, Any] = {"frames": 4, "steps": 2}

pytestmark = [pytest.mark.fullsize, pytest.mark.timeout(1800)]


def random_weights(unet: UNet3DConditionModel) -> UNet3DConditionModel:
    """In place of its own initialisation, which takes minutes."""
    unet.to_empty(device="cpu")
    rng = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, 0.02, generator=rng)
            else:
                parameter.fill_(0.01 if name.endswith("bias") else 1.0)
    return unet.eval()


@pytest.fixture(scope="module")
def backbone() -> ZeroScope:
    """Its timesteps are those of ComfyUI's scheduler "simple", and it ends at z_0."""
    small = zeroscope_base()
    with torch.device("meta"):
        unet = UNet3DConditionModel(cross_attention_dim=1024, attention_head_dim=64)
    changes = {"timestep_spacing": "trailing", "set_alpha_to_one": True}
    return ZeroScope(
        network=random_weights(unet),
        vae=small.vae,
        text=small.text,
        scheduler=load_scheduler({**ZEROSCOPE_SCHEDULER, **changes}),
        version="zeroscope",
        licence="random weights",
    )


@pytest.fixture(scope="module")
def embeds() -> Tensor:
    """Of a negative prompt and a positive one."""
    return torch.randn(2, 77, 1024, generator=torch.Generator().manual_seed(SEED))


@pytest.fixture(scope="module")
def prompts(embeds: Tensor) -> dict[str, Any]:
    """The same as ComfyUI's conditioning."""
    negative, positive = ([[embed[None], {}]] for embed in embeds)
    return {"positive": positive, "negative": negative}


@pytest.fixture(scope="module")
def plain(backbone: ZeroScope, embeds: Tensor) -> Tensor:
    return diffusers_sampled(backbone, **SHORT, embeds=embeds)


def test_ksampler_is_diffusers(backbone: ZeroScope, prompts: dict[str, Any], plain: Tensor):
    ours = sampled(zeroscope_model(backbone), backbone, **SHORT, **prompts)
    assert distance(ours, plain) < 1e-3 * float(plain.abs().max())


def test_a_motion_plays_as_in_the_core(
    backbone: ZeroScope, prompts: dict[str, Any], embeds: Tensor, plain: Tensor
):
    lora = a_lora(backbone)
    patched, _ = on_zeroscope(zeroscope_model(backbone), {"m": lora}, temporal=0.8)
    ours = sampled(patched, backbone, **SHORT, **prompts)
    core = core_sampled(backbone, [(lora, 0.8)], **SHORT, embeds=embeds)
    size = float(core.abs().max())
    assert distance(ours, core) < 1e-3 * size
    assert distance(ours, plain) > 0.01 * size
