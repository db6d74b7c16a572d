"""Motion modules that were distilled to a few steps, in a MODEL: LCM's timesteps on AnimateDiff's
noise.
"""

from __future__ import annotations

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy_extras.nodes_model_advanced import LCM, ModelSamplingDiscrete
from motion_adapters.nodes.comfy_models.image_model import image_model
from torch import Tensor

import nodes
from motion_core.backbones.animatediff import AnimateDiff
from motion_core.diffusion.sampling import sample_latents
from motion_core.diffusion.settings import SampleSettings
from tests.comfyui.inside.motions import on_animatediff
from tests.comfyui.inside.sampling import (
    GUIDANCE,
    PROMPT,
    animatediff_base,
    comfy_noise,
    conditioning,
    distance,
    empty_latent,
    prompt_embeds,
)

ZERO_SNR = [False, True]


def lcm_model(backbone: AnimateDiff) -> ModelPatcher:
    """As a graph with an LCM LoRA makes it."""
    (patched,) = ModelSamplingDiscrete().patch(image_model(backbone), "lcm", False)
    return patched


def one_step(model: ModelPatcher, backbone: AnimateDiff) -> Tensor:
    """Of the KSampler, with the sampler and the scheduler that LCM is played with."""
    with torch.inference_mode():
        (latent,) = nodes.KSampler().sample(
            *(model, 3, 1, GUIDANCE, "lcm", "sgm_uniform"),
            conditioning(backbone, PROMPT),
            conditioning(backbone, ""),
            empty_latent(),
        )
    return latent["samples"] * backbone.vae.config["scaling_factor"]


@pytest.mark.parametrize("zero_snr", ZERO_SNR)
def test_a_model_for_lcm_stays_one(zero_snr: bool) -> None:
    """σ = sqrt((1−ᾱ)/ᾱ) of every twentieth of AnimateDiff's 1000 timesteps, T−1 among them; a step
    over all of them is the core's.
    """
    backbone = animatediff_base(zero_snr)
    model, _ = on_animatediff(lcm_model(backbone))
    sampling = model.get_model_object("model_sampling")
    alphas = backbone.scheduler.alphas_cumprod[19::20]
    sigmas = ((1 - alphas) / alphas).sqrt()
    assert len(sampling.sigmas) == 50
    last = -1 if zero_snr else None  # there σ is as large as ComfyUI bears
    # Of the sample base; what S = 1024 changes of x and σ with zero terminal SNR is below σ / S.
    torch.testing.assert_close(sampling.sigmas[:last], sigmas[:last], rtol=0.02, atol=0)
    assert sampling.timestep(sampling.sigmas).tolist() == list(range(19, 1000, 20))
    negative, positive = prompt_embeds(backbone)
    core = sample_latents(
        backbone,
        comfy_noise(),
        positive[None],
        negative[None],
        SampleSettings(steps=1, guidance_scale=GUIDANCE, few_steps="lcm"),
    )
    assert distance(one_step(model, backbone), core[0].transpose(0, 1)) < 1e-3


def test_a_plain_model_has_all_timesteps() -> None:
    model, _ = on_animatediff(image_model(animatediff_base()))
    assert len(model.get_model_object("model_sampling").sigmas) == 1000


def test_what_is_left_unchanged_is_comfyuis_own() -> None:
    patched = lcm_model(animatediff_base())
    model, _ = on_animatediff(patched, beta_schedule="unchanged")
    own = patched.get_model_object("model_sampling")
    assert model.get_model_object("model_sampling") is own and isinstance(own, LCM)
