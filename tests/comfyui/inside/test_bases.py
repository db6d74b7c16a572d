"""Bases as ComfyUI objects, ComfyUI objects as bases, and the nodes for both."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.clip_model
import comfy.model_management
import comfy.sd
import comfy.supported_models
import folder_paths
import pytest
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL as ComfyVae
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import PatcherInjection
from diffusers import AutoencoderKL, UNetMotionModel
from motion_adapters.nodes.apply import SAMPLE_MODULE
from motion_adapters.nodes.bases import (
    AnimateDiffBaseFromModel,
    LoadAnimateDiffBase,
    LoadZeroScope,
    SampleMotionBase,
)
from motion_adapters.nodes.comfy_models.from_model import base_from_model, checkpoint_of
from motion_adapters.nodes.comfy_models.native import sample_objects
from motion_adapters.nodes.comfy_models.vae import SD_WIDTHS, vae_from_core
from motion_adapters.nodes.folders import register_folders
from motion_adapters.nodes.sockets import MotionBase
from torch import Tensor

from motion_core.backbones.animatediff import AnimateDiff, checkpoint_unet_keys
from motion_core.backbones.architecture import image_unet_config
from motion_core.backbones.components import LDM_CLIP, text_from_file
from motion_core.backbones.loading import Section, build_empty
from motion_core.backbones.roles import LDM_UNET
from motion_core.backbones.saving import save_checkpoint, save_motion_module, save_video_model
from motion_core.backbones.tensor_files import TensorFile
from motion_core.bases import base_defaults
from motion_core.encoding import decode_latents, encode_clip, encode_prompts
from motion_core.errors import FormatError, SettingsError
from motion_core.shape_world.base import (
    ANIMATEDIFF,
    IMAGE,
    MOTION_MODULE,
    PERSONALISED,
    VIDEO,
    ZEROSCOPE,
    load_shape_world,
)
from motion_core.types import Clip
from tests.tiny import tiny_animatediff, tiny_zeroscope

PROMPT = "a red circle moving right on a striped background"
LAYER = "input_blocks.1.1.transformer_blocks.0.attn1.to_q"
CORE_LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
TEXT_LAYER = "text_model.encoder.layers.1.self_attn.q_proj"

Objects = tuple[ModelPatcher, comfy.sd.CLIP, comfy.sd.VAE]


@pytest.fixture(scope="module")
def core() -> AnimateDiff:
    backbone = load_shape_world(ANIMATEDIFF)
    assert isinstance(backbone, AnimateDiff)
    return backbone


@pytest.fixture(scope="module")
def objects(core: AnimateDiff) -> Objects:
    """Made in inference mode, as earlier nodes of a graph make theirs."""
    with torch.inference_mode():
        return sample_objects(core)


@pytest.fixture
def unloaded() -> Iterator[None]:
    yield
    comfy.model_management.unload_all_models()


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


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


def lora_of(out: int, inner: int, rank: int = 2, seed: int = 3) -> tuple[Tensor, Tensor]:
    return randn(out, rank, seed=seed) * 0.1, randn(rank, inner, seed=seed + 1) * 0.1


def kohya_lora(core: AnimateDiff) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """A LoRA in kohya's form on one layer of the UNet and one of the text tower, and its deltas."""
    width = core.unet.get_parameter(f"{CORE_LAYER}.weight").shape
    text_width = core.text.model.config.hidden_size
    up, down = lora_of(*width)
    text_up, text_down = lora_of(text_width, text_width, seed=7)
    unet_key = f"lora_unet_{CORE_LAYER.replace('.', '_')}"
    text_key = f"lora_te_{TEXT_LAYER.replace('.', '_')}"
    tensors = {
        f"{unet_key}.lora_up.weight": up,
        f"{unet_key}.lora_down.weight": down,
        f"{unet_key}.alpha": torch.tensor(1.0),
        f"{text_key}.lora_up.weight": text_up,
        f"{text_key}.lora_down.weight": text_down,
        f"{text_key}.alpha": torch.tensor(2.0),
    }
    # delta = strength · alpha / rank · up · down
    return tensors, up @ down / 2, text_up @ text_down


def text_weight(text: Any) -> Tensor:
    """The adapted weight of a core text tower, whose prefix depends on transformers' version."""
    state = text.model.state_dict()
    return next(t for name, t in state.items() if name.endswith("layers.1.self_attn.q_proj.weight"))


def test_the_image_model_predicts_what_the_core_does(core: AnimateDiff, objects: Objects) -> None:
    model, _, _ = objects
    latents, embeds = randn(3, 4, 8, 8), encode_prompts(core, [PROMPT] * 3)
    for timestep in (0, 500, 999):
        ours = native_prediction(model, latents, timestep, embeds)
        torch.testing.assert_close(
            ours, image_prediction(core, latents, timestep, embeds), atol=2e-5, rtol=1e-4
        )


def test_the_image_model_has_the_bases_schedule(core: AnimateDiff, objects: Objects) -> None:
    """ComfyUI's x0 of v is ᾱ^½·z − (1 − ᾱ)^½·v, with z = x/(σ² + 1)^½."""
    model, _, _ = objects
    sampling = model.get_model_object("model_sampling")
    timestep, z, v = 700, randn(1, 4, 8, 8), randn(1, 4, 8, 8, seed=1)
    alpha = core.scheduler.alphas_cumprod[timestep]
    sigma = sampling.sigma(torch.tensor([float(timestep)]))
    torch.testing.assert_close(sigma[0] ** 2, (1 - alpha) / alpha, atol=0, rtol=1e-4)
    denoised = sampling.calculate_denoised(sigma, v, z * (sigma**2 + 1) ** 0.5)
    torch.testing.assert_close(denoised, alpha**0.5 * z - (1 - alpha) ** 0.5 * v)


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


def test_a_base_from_the_objects_is_the_base_again(core: AnimateDiff, objects: Objects) -> None:
    with torch.inference_mode(False):
        again = base_from_model(*objects, MOTION_MODULE, version=ANIMATEDIFF)
    for mine, theirs in (
        (again.unet, core.unet),
        (again.vae, core.vae),
        (again.text.model, core.text.model),
    ):
        assert mine.state_dict().keys() == theirs.state_dict().keys()
        for name, tensor in theirs.state_dict().items():
            assert torch.equal(mine.state_dict()[name], tensor), name
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
        for part in (backbone.unet, backbone.vae, backbone.text.model):
            tensors = [*part.parameters(), *part.buffers()]
            assert not any(tensor.is_inference() for tensor in tensors)
        weight = backbone.unet.get_parameter(f"{CORE_LAYER}.weight").requires_grad_(True)
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
    own = core.unet.get_parameter(f"{CORE_LAYER}.weight")
    torch.testing.assert_close(
        baked.unet.get_parameter(f"{CORE_LAYER}.weight"), own + 0.5 * delta, atol=1e-6, rtol=1e-6
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
    ours = backbone.unet.get_parameter(f"{CORE_LAYER}.weight")
    assert ours.dtype == torch.float32
    assert torch.equal(ours, core.unet.get_parameter(f"{CORE_LAYER}.weight").to(dtype).float())


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


def meta_model(config: type, unet: dict[str, Any]) -> ModelPatcher:
    """A full-size model that takes no memory."""
    model_config = config({**unet, "dtype": torch.float16})
    model = model_config.get_model({}, device="meta")
    cpu = torch.device("cpu")
    return ModelPatcher(model, load_device=cpu, offload_device=cpu)


SD15_UNET: dict[str, Any] = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": (1, 2, 4, 4),
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "context_dim": 768,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": False,
    "use_temporal_attention": False,
    "adm_in_channels": None,
    "legacy": False,
}
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
        vae.first_stage_model = ComfyVae(
            embed_dim=4,
            ddconfig={
                "double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3,
                "ch": 128, "ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [],
                "dropout": 0.0,
            },
        )  # fmt: skip
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
    for name, (place, *_) in keys.items():
        assert full_size.shapes[place.key] == tuple(unet.state_dict()[name].shape), name
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
    with pytest.raises(FormatError, match="MODEL is of the kind"):
        checkpoint_of(model, clip, vae)
    with pytest.raises(FormatError, match="CLIP is SD1ClipModel; AnimateDiff needs"):
        checkpoint_of(objects[0], video_clip, vae)


def test_an_empty_vae_is_named(objects: Objects) -> None:
    model, clip, _ = objects
    with pytest.raises(FormatError, match="VAE is empty"):
        checkpoint_of(model, clip, comfy.sd.VAE(sd={}))


@pytest.fixture
def model_folders(comfy_base: Path) -> Iterator[Path]:
    """ComfyUI's model folders, with shape world's files in the roles of the large ones."""
    register_folders()
    models = Path(folder_paths.models_dir)
    placed = {
        "checkpoints/image.safetensors": IMAGE,
        "checkpoints/styled.safetensors": PERSONALISED,
        "animatediff_models/motion.safetensors": MOTION_MODULE,
        "text2video/video.safetensors": VIDEO,
    }
    for name, source in placed.items():
        (models / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, models / name)
    yield models
    for name in {Path(name).parent for name in placed}:
        shutil.rmtree(models / name)


def outputs(node: type, **inputs: Any) -> tuple[Any, ...]:
    """A node's outputs, run as ComfyUI runs it."""
    with torch.inference_mode():
        return node.execute(**inputs).result


@pytest.mark.parametrize("checkpoint", ["standard", "personalised"])
def test_the_sample_node(checkpoint: str) -> None:
    model, clip, vae, base, video = outputs(
        SampleMotionBase, base="animatediff", checkpoint=checkpoint
    )
    assert isinstance(model, ModelPatcher) and isinstance(base, MotionBase)
    assert isinstance(clip, comfy.sd.CLIP) and isinstance(vae, comfy.sd.VAE)
    file = PERSONALISED if checkpoint == "personalised" else IMAGE
    core = load_shape_world(ANIMATEDIFF, file)
    for name, weight in core.unet.state_dict().items():
        assert torch.equal(base.backbone.unet.state_dict()[name], weight), name
    weight = model.model.diffusion_model.get_parameter(f"{LAYER}.weight")
    assert torch.equal(weight, core.unet.get_parameter(f"{CORE_LAYER}.weight"))
    assert not any(p.is_inference() for p in base.backbone.unet.parameters())
    assert video.get_components().images.shape == (base.defaults.frames, 64, 64, 3)


def test_the_sample_node_refuses_what_there_is_not() -> None:
    with pytest.raises(SettingsError, match="zeroscope's sample base does not have"):
        outputs(SampleMotionBase, base="zeroscope", checkpoint="personalised")


def base_of(model: ModelPatcher, clip: comfy.sd.CLIP, vae: comfy.sd.VAE, module: str) -> MotionBase:
    [base] = outputs(
        AnimateDiffBaseFromModel, model=model, clip=clip, vae=vae, motion_module=module
    )
    return base


def test_base_from_model_node(model_folders: Path) -> None:
    model, clip, vae, base, _ = outputs(SampleMotionBase, base="animatediff")
    shipped = base_of(model, clip, vae, SAMPLE_MODULE)
    assert (shipped.defaults, shipped.backbone.version) == (base.defaults, ANIMATEDIFF)
    from_file = base_of(model, clip, vae, "motion.safetensors")
    assert from_file.backbone.version == "animatediff-sd15-v3"  # what its shapes say
    assert from_file.defaults == base_defaults("animatediff")
    assert base_of(model, clip, vae, "motion.safetensors").name == from_file.name


def test_another_weight_is_another_base(core: AnimateDiff) -> None:
    model, clip, vae, _, _ = outputs(SampleMotionBase, base="animatediff")
    changed, changed_clip = comfy.sd.load_lora_for_models(
        model, clip, kohya_lora(core)[0], 1.0, 1.0
    )
    names = {
        base_of(unet, text, vae, SAMPLE_MODULE).name
        for unet in (model, changed)
        for text in (clip, changed_clip)
    }
    assert len(names) == 4


def test_files_in_the_wrong_place_are_named(objects: Objects, model_folders: Path) -> None:
    with pytest.raises(FormatError, match="is an image UNet without VAE"):
        outputs(
            LoadAnimateDiffBase,
            checkpoint="image.safetensors",  # shape world's has no VAE and no text encoder
            motion_module="motion.safetensors",
        )
    shutil.copy(IMAGE, model_folders / "animatediff_models" / "wrong.safetensors")
    with pytest.raises(FormatError, match="not an AnimateDiff motion module"):
        base_of(*objects, "wrong.safetensors")
    with pytest.raises(FormatError, match="There is no file gone"):
        outputs(
            LoadAnimateDiffBase,
            checkpoint="gone.safetensors",
            motion_module="motion.safetensors",
        )


def test_zeroscope_node_wants_vae_and_text_encoder(model_folders: Path) -> None:
    options = LoadZeroScope.define_schema().inputs[0].options
    assert "text2video/video.safetensors" in options
    with pytest.raises(FormatError, match="has no VAE and no text encoder inside"):
        outputs(LoadZeroScope, model="text2video/video.safetensors")


def test_animatediff_node_loads_files(model_folders: Path) -> None:
    """Real files of a tiny model, in the formats of the large ones."""
    tiny = tiny_animatediff("v_prediction")
    save_checkpoint(tiny, model_folders / "checkpoints" / "tiny.safetensors")
    save_motion_module(tiny, model_folders / "animatediff_models" / "tiny.safetensors")
    [base] = outputs(
        LoadAnimateDiffBase, checkpoint="tiny.safetensors", motion_module="tiny.safetensors"
    )
    assert base.name == "animatediff (tiny.safetensors, tiny.safetensors)"
    for name, weight in tiny.unet.state_dict().items():
        assert torch.equal(base.backbone.unet.state_dict()[name], weight), name
    assert not any(p.is_inference() for p in base.backbone.unet.parameters())
    assert base.backbone.scheduler.config["prediction_type"] == "v_prediction"


def test_zeroscope_node_loads_files(model_folders: Path) -> None:
    tiny = tiny_zeroscope()
    save_video_model(tiny, model_folders / "text2video" / "tiny.safetensors")
    model, clip, vae, base = outputs(LoadZeroScope, model="text2video/tiny.safetensors")
    assert isinstance(model, ModelPatcher)
    assert base.backbone.family == "zeroscope"
    with torch.inference_mode():
        embeds = clip.encode_from_tokens(clip.tokenize("A dog, running!"))
        pixels = vae.decode(randn(2, 4, 4, 4))
    tiny.text.model.half().float()  # as ComfyUI keeps text encoders
    expected = encode_prompts(tiny, ["A dog, running!"])
    torch.testing.assert_close(embeds, expected, atol=1e-5, rtol=1e-4)
    assert pixels.shape == (2, 32, 32, 3)


def test_zeroscope_node_lists_folders(model_folders: Path) -> None:
    """diffusers' form and ModelScope's, at any depth, and not the parts inside."""
    for name in ("zs/model_index.json", "zs/unet/model_index.json", "a/ms/configuration.json"):
        path = model_folders / "diffusers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    (model_folders / "diffusers" / "a" / "ms" / "text2video_pytorch_model.pth").touch()
    listed = LoadZeroScope.define_schema().inputs[0].options
    assert [name for name in listed if name.startswith("diffusers/")] == [
        "diffusers/a/ms",
        "diffusers/zs",
    ]
    with pytest.raises(FormatError, match=r"config\.json"):
        outputs(LoadZeroScope, model="diffusers/zs")
    shutil.rmtree(model_folders / "diffusers")
    with pytest.raises(FormatError, match="There is no folder zs"):
        outputs(LoadZeroScope, model="diffusers/zs")


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
    assert "motion on it cannot be part" in caplog.text


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
