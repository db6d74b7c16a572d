"""The sample base's MODEL, CLIP and VAE against the core's own parts."""

from __future__ import annotations

import comfy.sd
import pytest
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL as ComfyVae
from comfy.model_patcher import ModelPatcher
from diffusers import AutoencoderKL
from motion_adapters.nodes.comfy_models.native import sample_objects
from motion_adapters.nodes.comfy_models.schedule import LARGEST_SIGMA
from motion_adapters.nodes.comfy_models.vae import SD_WIDTHS, vae_from_core
from torch import Tensor

from motion_core.backbones.animatediff import AnimateDiff
from motion_core.diffusion.encoding import decode_latents, encode_clip, encode_prompts
from motion_core.shape_world.base import ANIMATEDIFF, ZEROSCOPE, load_shape_world
from motion_core.types import Clip
from tests.comfyui.inside import base_objects
from tests.comfyui.inside.base_objects import LAYER, PROMPT, TEXT_LAYER, Objects, kohya_lora, randn

# Fixtures.
core = base_objects.core
objects = base_objects.objects


def image_prediction(
    backbone: AnimateDiff, latents: Tensor, timestep: int, embeds: Tensor
) -> Tensor:
    """The image model's output: one frame at a time, for which motion modules step aside."""
    timesteps = torch.full((latents.shape[0],), timestep)
    with torch.no_grad():
        return backbone.predict(latents[:, :, None], timesteps, embeds)[:, :, 0]


def native_prediction(
    model: ModelPatcher, latents: Tensor, timestep: int, embeds: Tensor
) -> Tensor:
    timesteps = torch.full((latents.shape[0],), float(timestep))
    with torch.no_grad():
        return model.model.diffusion_model(latents, timesteps, context=embeds)


def test_the_image_model_predicts_what_the_core_does(core: AnimateDiff, objects: Objects) -> None:
    model, _, _ = objects
    latents, embeds = randn(3, 4, 8, 8), encode_prompts(core, [PROMPT] * 3)
    for timestep in (0, 500, 999):
        ours = native_prediction(model, latents, timestep, embeds)
        torch.testing.assert_close(
            ours, image_prediction(core, latents, timestep, embeds), atol=2e-5, rtol=1e-4
        )


@pytest.mark.parametrize("timestep", [0, 700, 998, 999])
def test_the_image_model_has_the_bases_schedule(
    core: AnimateDiff, objects: Objects, timestep: int
) -> None:
    """Of x the network is shown the core's z_t, and of v it makes z_0; at 999 x is noise alone."""
    model, _, _ = objects
    sampling = model.get_model_object("model_sampling")
    clean, noise = randn(2, 4, 8, 8), randn(2, 4, 8, 8, seed=1)
    times = torch.tensor([timestep] * 2)
    z = core.schedule.noised(clean, noise, times)
    v = core.schedule.target(clean, noise, times)
    sigma = sampling.sigmas[times]
    assert sampling.timestep(sigma).tolist() == [timestep] * 2
    signal = (1.0 - sigma / LARGEST_SIGMA).view(2, 1, 1, 1)
    x = signal * clean + sigma.view(2, 1, 1, 1) * noise
    torch.testing.assert_close(sampling.calculate_input(sigma, x), z, atol=1e-5, rtol=0)
    denoised = sampling.calculate_denoised(sigma, v, x)
    torch.testing.assert_close(denoised, -v if timestep == 999 else clean, atol=1e-4, rtol=0)


def test_sampling_starts_from_noise_alone(objects: Objects) -> None:
    model, _, _ = objects
    sampling = model.get_model_object("model_sampling")
    noise, nothing = randn(2, 4, 8, 8), torch.zeros(2, 4, 8, 8)
    x = sampling.noise_scaling(sampling.sigma_max, noise, nothing, max_denoise=True)
    assert torch.equal(sampling.calculate_input(sampling.sigma_max, x), noise)


@pytest.mark.parametrize("base", [ANIMATEDIFF, ZEROSCOPE])
@pytest.mark.parametrize("prompt", ["", PROMPT, "an outlined Zebra, leaping (gently)!"])
def test_the_conditioning_is_the_cores_prompt_embeds(base: str, prompt: str) -> None:
    backbone = load_shape_world(base)
    with torch.inference_mode():
        _, clip, _ = sample_objects(backbone)
        escaped = prompt.replace("(", r"\(").replace(")", r"\)")  # else ComfyUI's weights
        [[embeds, extra]] = clip.encode_from_tokens_scheduled(clip.tokenize(escaped))
    torch.testing.assert_close(embeds, encode_prompts(backbone, [prompt]), atol=1e-5, rtol=1e-5)
    assert extra["pooled_output"].shape == (1, 64)


def test_weighted_prompts_change_the_conditioning(objects: Objects) -> None:
    _, clip, _ = objects
    with torch.inference_mode():
        plain = clip.encode_from_tokens(clip.tokenize("a red circle"))
        heavy = clip.encode_from_tokens(clip.tokenize("a (red:1.5) circle"))
    assert plain.shape == heavy.shape == (1, 32, 64)
    assert not torch.allclose(plain, heavy)


def test_the_vae_encodes_and_decodes_as_the_cores(core: AnimateDiff, objects: Objects) -> None:
    _, _, vae = objects
    frames = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(5)) * 2 - 1
    scale = core.vae.config["scaling_factor"]
    latents = encode_clip(core, Clip(frames=frames, fps=8, prompt="", source="noise")).latents
    with torch.inference_mode():
        ours = vae.encode((frames.movedim(1, -1) + 1) / 2)
        image = vae.decode(latents[0].transpose(0, 1) / scale)
    torch.testing.assert_close(ours * scale, latents[0].transpose(0, 1), atol=1e-5, rtol=1e-4)
    expected = (decode_latents(core, latents).movedim(1, -1) + 1) / 2
    torch.testing.assert_close(image, expected, atol=1e-5, rtol=1e-4)


def test_the_vae_decodes_in_tiles(objects: Objects) -> None:
    _, _, vae = objects
    with torch.inference_mode():
        image = vae.decode_tiled(randn(1, 4, 16, 16), tile_x=8, tile_y=8, overlap=2)
    assert image.shape == (1, 128, 128, 3)


def test_core_loras_reach_unet_and_text(
    core: AnimateDiff, objects: Objects, caplog: pytest.LogCaptureFixture
) -> None:
    """LoraLoader's own function, in kohya's names: nothing is "not loaded"."""
    model, clip, _ = objects
    lora, _, _ = kohya_lora(core)
    with torch.inference_mode():
        changed, changed_clip = comfy.sd.load_lora_for_models(model, clip, lora, 1.0, 1.0)
    assert list(changed.patches) == [f"diffusion_model.{LAYER}.weight"]
    assert list(changed_clip.patcher.patches) == [f"clip_l.transformer.{TEXT_LAYER}.weight"]
    assert not [r for r in caplog.records if "not loaded" in r.getMessage().lower()]


@pytest.mark.fullsize
def test_stable_diffusions_vae_runs_on_comfyuis_own_network() -> None:
    """84 million weights, drawn at random; the same pixels both ways."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vae = AutoencoderKL(
            block_out_channels=SD_WIDTHS,
            layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
        ).eval()
    made = vae_from_core(vae)
    assert isinstance(made.first_stage_model, ComfyVae)
    latents, image = randn(1, 4, 8, 8), torch.rand(1, 64, 64, 3)
    with torch.inference_mode():
        decoded, encoded = made.decode(latents), made.encode(image)
        expected = vae.decode(latents, return_dict=False)[0].movedim(1, -1)
        mode = vae.encode(image.movedim(-1, 1) * 2 - 1, return_dict=False)[0].mode()
    torch.testing.assert_close(decoded, (expected / 2 + 0.5).clamp(0, 1), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(encoded, mode, atol=1e-3, rtol=1e-3)
