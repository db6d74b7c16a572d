"""Motion modules that were distilled to a few steps, in a MODEL: LCM's timesteps on AnimateDiff's
noise.
"""

from __future__ import annotations

import torch
from comfy.model_patcher import ModelPatcher
from comfy_extras.nodes_model_advanced import (
    LCM,
    ModelSamplingDiscrete,
    ModelSamplingDiscreteDistilled,
)
from motion_adapters.nodes.apply import _set_schedule
from motion_adapters.nodes.comfy_models.image_model import image_model
from motion_adapters.nodes.comfy_models.schedule import LARGEST_SIGMA, lcm_sampling
from torch import Tensor

import nodes
from motion_core.backbones.animatediff import AnimateDiff
from motion_core.backbones.files.architecture import ANIMATEDIFF_SCHEDULER
from motion_core.backbones.files.components import load_scheduler
from motion_core.bases import base_defaults
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


def test_a_model_for_lcm_stays_one() -> None:
    """Every twentieth of the sample base's 1000 timesteps, T−1 among them, with σ as
    `comfy_models.schedule` has it where ᾱ ends at 0; a step over all of them is the core's.
    """
    backbone = animatediff_base()
    model, _ = on_animatediff(lcm_model(backbone))
    sampling = model.get_model_object("model_sampling")
    alphas = backbone.scheduler.alphas_cumprod[19::20].double()
    noise = (1 - alphas).sqrt()
    sigmas = noise / (alphas.sqrt() + noise / LARGEST_SIGMA)
    torch.testing.assert_close(sampling.sigmas, sigmas.float())
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


def test_stable_diffusions_noise_prediction_is_comfyuis_own_lcm() -> None:
    """σ = sqrt((1−ᾱ)/ᾱ) of AnimateDiff's betas; with Stable Diffusion's ComfyUI's own are these."""
    sampling = lcm_sampling(load_scheduler(ANIMATEDIFF_SCHEDULER))
    assert isinstance(sampling, LCM)
    betas = torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64)
    alphas = (1 - betas).cumprod(0)[19::20]
    torch.testing.assert_close(sampling.sigmas, ((1 - alphas) / alphas).sqrt().float())
    own = ModelSamplingDiscreteDistilled()
    scaled = load_scheduler({**ANIMATEDIFF_SCHEDULER, "beta_schedule": "scaled_linear"})
    torch.testing.assert_close(lcm_sampling(scaled).sigmas, own.sigmas, rtol=1e-4, atol=0)


def test_animatelcm_is_played_so_by_its_name() -> None:
    assert base_defaults("animatediff", "AnimateLCM_sd15_t2v.ckpt").few_steps == "lcm"
    patched = image_model(animatediff_base()).clone()
    _set_schedule(patched, "AnimateLCM_sd15_t2v.ckpt", "auto")
    assert len(patched.get_model_object("model_sampling").sigmas) == 50


def test_a_plain_model_has_all_timesteps() -> None:
    model, _ = on_animatediff(image_model(animatediff_base()))
    assert len(model.get_model_object("model_sampling").sigmas) == 1000


def test_what_is_left_unchanged_is_comfyuis_own() -> None:
    patched = lcm_model(animatediff_base())
    model, _ = on_animatediff(patched, beta_schedule="unchanged")
    own = patched.get_model_object("model_sampling")
    assert model.get_model_object("model_sampling") is own and isinstance(own, LCM)
