"""Connected MODEL, CLIP and VAE: full-size keys on the meta device; wrong kinds are named."""

from __future__ import annotations

from typing import Any

import comfy.sd
import comfy.supported_models
import pytest
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL as ComfyVae
from comfy.model_patcher import ModelPatcher
from diffusers import UNetMotionModel
from motion_adapters.nodes.comfy_models.from_model import checkpoint_of
from motion_adapters.nodes.comfy_models.native import sample_objects

from motion_core.backbones.animatediff import checkpoint_unet_keys
from motion_core.backbones.files.architecture import image_unet_config
from motion_core.backbones.files.components import LDM_CLIP, text_from_file
from motion_core.backbones.files.kinds import LDM_UNET
from motion_core.backbones.files.loading import Section, build_empty
from motion_core.backbones.files.tensors import TensorFile
from motion_core.errors import FormatError
from motion_core.shape_world.base import ZEROSCOPE, load_shape_world
from tests.comfyui.inside import base_objects
from tests.comfyui.inside.base_objects import Objects
from tests.comfyui.inside.full_size import SD15_UNET, SD15_VAE

# Fixtures.
core = base_objects.core
objects = base_objects.objects


def meta_model(config: type, unet: dict[str, Any]) -> ModelPatcher:
    """A full-size model that takes no memory."""
    model_config = config({**unet, "dtype": torch.float16})
    model = model_config.get_model({}, device="meta")
    cpu = torch.device("cpu")
    return ModelPatcher(model, load_device=cpu, offload_device=cpu)


SDXL_UNET: dict[str, Any] = {
    **SD15_UNET,
    "channel_mult": (1, 2, 4),
    "num_res_blocks": [2, 2, 2],
    "transformer_depth": [0, 0, 2, 2, 10, 10],
    "transformer_depth_middle": 10,
    "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
    "context_dim": 2048,
    "use_linear_in_transformer": True,
    "adm_in_channels": 2816,
    "num_classes": "sequential",
}


@pytest.fixture(scope="module")
def full_size() -> TensorFile:
    """Stable Diffusion 1.5 as ComfyUI has it, all on the meta device."""
    model = meta_model(comfy.supported_models.SD15, SD15_UNET)
    with torch.device("meta"):
        clip = comfy.sd.CLIP(no_init=True)
        clip.cond_stage_model = comfy.sd1_clip.SD1ClipModel(device="meta", dtype=torch.float16)
        vae = object.__new__(comfy.sd.VAE)
        vae.first_stage_model = ComfyVae(embed_dim=4, ddconfig=SD15_VAE)
    cpu = torch.device("cpu")
    clip.patcher = ModelPatcher(clip.cond_stage_model, load_device=cpu, offload_device=cpu)
    clip.layer_idx = None
    vae.patcher = ModelPatcher(vae.first_stage_model, load_device=cpu, offload_device=cpu)
    return checkpoint_of(model, clip, vae)


def test_full_size_unet_keys(full_size: TensorFile) -> None:
    """All 686 tensors of the image UNet have their places, in the same shapes."""
    config = image_unet_config(full_size, LDM_UNET)
    unet = build_empty(lambda: UNetMotionModel(**config))
    keys = checkpoint_unet_keys(unet)
    Section(file=full_size, keys=keys, part="the image UNet", prefix=LDM_UNET)
    assert len(keys) == 686
    wanted = unet.state_dict()
    for name, (place, *_) in keys.items():
        assert full_size.shapes[place.key] == tuple(wanted[name].shape), name
    assert config["block_out_channels"] == [320, 640, 1280, 1280]


def test_full_size_text_and_vae_keys(full_size: TensorFile) -> None:
    """The text tower's 196 tensors and the VAE's 248, as in the checkpoint of Stable Diffusion."""
    tower = [key for key in full_size.shapes if key.startswith(LDM_CLIP)]
    encoder = [key for key in full_size.shapes if key.startswith("first_stage_model.")]
    assert (len(tower), len(encoder)) == (196, 248)
    with pytest.raises(NotImplementedError, match="meta"):  # every key fits; there is no data
        text_from_file(full_size, torch.float32, "cpu")


def test_an_sdxl_model_is_named(objects: Objects) -> None:
    _, clip, vae = objects
    with pytest.raises(FormatError, match="MODEL is a Stable Diffusion XL checkpoint"):
        checkpoint_of(meta_model(comfy.supported_models.SDXL, SDXL_UNET), clip, vae)


def test_an_inpainting_model_is_named(objects: Objects) -> None:
    _, clip, vae = objects
    model = meta_model(comfy.supported_models.SD15, {**SD15_UNET, "in_channels": 9})
    with pytest.raises(FormatError, match="MODEL is an inpainting checkpoint"):
        checkpoint_of(model, clip, vae)


def test_a_video_model_is_named(objects: Objects) -> None:
    _, clip, vae = objects
    with torch.inference_mode():
        model, video_clip, _ = sample_objects(load_shape_world(ZEROSCOPE))
    with pytest.raises(FormatError, match="MODEL is a "):
        checkpoint_of(model, clip, vae)
    with pytest.raises(FormatError, match="CLIP is SD1ClipModel; AnimateDiff needs"):
        checkpoint_of(objects[0], video_clip, vae)


def test_an_empty_vae_is_named(objects: Objects) -> None:
    model, clip, _ = objects
    with pytest.raises(FormatError, match="VAE is empty"):
        checkpoint_of(model, clip, comfy.sd.VAE(sd={}))
