"""A Stable Diffusion 1.5 checkpoint and a v3 motion module from files, by the core's own loader:
played in KSampler, and made a base. Full size, half precision, random weights; some ten gigabytes.

The names of the checkpoint's tensors are those of ComfyUI's own networks, not of this pack's maps.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import comfy.clip_model
import comfy.model_management as management
import comfy.ops
import comfy.sd1_clip
import comfy.supported_models
import pytest
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_patcher import ModelPatcher
from diffusers import MotionAdapter
from motion_adapters.nodes.apply import ApplyMotionToAnimateDiff
from motion_adapters.nodes.bases import AnimateDiffBaseFromModel
from motion_adapters.nodes.comfy_models.animatediff import motion_network
from motion_adapters.nodes.host.folders import register_folders
from safetensors.torch import save_file
from torch import Tensor, nn

import nodes
from motion_core.backbones.files.keys import motion_keys
from motion_core.backbones.files.loading import build_empty
from tests.comfyui.inside.called import called
from tests.comfyui.inside.full_size import SD15_UNET, SD15_VAE, drawn

CHECKPOINT, MODULE = "random_sd15.safetensors", "random_v3.safetensors"
FRAMES, SEED = 8, 5

pytestmark = [pytest.mark.fullsize, pytest.mark.timeout(1800)]


def halves(network: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    return {prefix + name: tensor.half() for name, tensor in drawn(network, SEED)}


def checkpoint() -> dict[str, Tensor]:
    folder = Path(comfy.sd1_clip.__file__).parent
    tower = json.loads((folder / "sd1_clip_config.json").read_text())
    with torch.device("meta"):
        layers: dict[str, Any] = {"operations": comfy.ops.disable_weight_init, "device": "meta"}
        unet = UNetModel(**SD15_UNET, num_heads=8, **layers)
        text = comfy.clip_model.CLIPTextModel(tower, dtype=torch.float32, **layers)
        vae = AutoencoderKL(embed_dim=4, ddconfig=SD15_VAE)
    return {
        **halves(unet, "model.diffusion_model."),
        **halves(text, "cond_stage_model.transformer."),
        **halves(vae, "first_stage_model."),
    }


@pytest.fixture(scope="module", autouse=True)
def files(comfy_base: Path) -> None:
    register_folders()
    folders = [comfy_base / "models" / name for name in ("checkpoints", "animatediff_models")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    save_file(checkpoint(), folders[0] / CHECKPOINT)
    modules = build_empty(lambda: MotionAdapter(use_motion_mid_block=False))
    keys = motion_keys(modules.state_dict())
    weights = halves(modules)
    tensors = {keys[name][0].key: weight for name, weight in weights.items() if name in keys}
    save_file(tensors, folders[1] / MODULE)


@pytest.fixture(scope="module")
def loaded(files: None) -> Any:
    """MODEL, CLIP and VAE."""
    with torch.inference_mode():
        return nodes.CheckpointLoaderSimple().load_checkpoint(CHECKPOINT)


def moving(model: ModelPatcher) -> ModelPatcher:
    return called(
        ApplyMotionToAnimateDiff,
        model=model,
        motion_module=MODULE,
        temporal_strength=1.0,
        spatial_strength=1.0,
        end_percent=1.0,
        beta_schedule="auto",
    ).args[0]


@torch.inference_mode()
def sampled(model: ModelPatcher, clip: Any) -> dict[str, Tensor]:
    """By the nodes that a person connects."""
    positive, negative = (
        nodes.CLIPTextEncode().encode(clip, text)[0] for text in ("a red car turns", "")
    )
    (latent,) = nodes.EmptyLatentImage().generate(64, 64, FRAMES)
    (result,) = nodes.KSampler().sample(
        model, SEED, 1, 7.0, "euler", "simple", positive, negative, latent
    )
    return result


def test_it_plays_and_becomes_a_base(loaded: Any) -> None:
    model, clip, vae = loaded
    assert isinstance(model.model.model_config, comfy.supported_models.SD15)
    before = {name: tensor.clone() for name, tensor in model.model.state_dict().items()}
    moved = moving(model)
    latents = sampled(moved, clip)
    still = sampled(model, clip)["samples"]
    change = (latents["samples"] - still).norm() / still.norm()
    assert latents["samples"].isfinite().all() and 0.01 < change
    with torch.inference_mode():
        (images,) = nodes.VAEDecode().decode(vae, latents)
    assert images.shape == (FRAMES, 64, 64, 3) and 0 <= images.min() < images.max() <= 1
    after = model.model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    del before, after
    management.unload_all_models()
    assert_base_predicts_what_the_model_does(moved, model, clip, vae)


def assert_base_predicts_what_the_model_does(
    moved: ModelPatcher, model: ModelPatcher, clip: Any, vae: Any
) -> None:
    """Base From Model, on the objects that were sampled with: float32 of half precision's bits."""
    (base,) = called(
        AnimateDiffBaseFromModel, model=model, clip=clip, vae=vae, motion_module=MODULE
    ).args
    rng = torch.Generator().manual_seed(1)
    frames = torch.randn(2, 4, 8, 8, generator=rng)
    embeds = torch.randn(1, 77, 768, generator=rng)
    assert motion_network(moved).down_blocks
    with torch.no_grad():
        ours = moved.model.diffusion_model(
            frames,
            torch.full((2,), 500.0),
            context=embeds.expand(2, -1, -1),
            transformer_options={"cond_or_uncond": [0], "wrappers": moved.wrappers},
        )
        video = frames.transpose(0, 1)[None]
        theirs = base.backbone.predict(video, torch.tensor([500]), embeds)[0].transpose(0, 1)
    assert (ours - theirs).abs().max() < 1e-3 * theirs.abs().max()
