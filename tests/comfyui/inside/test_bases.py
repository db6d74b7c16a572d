"""The nodes that give a base."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import comfy.hooks
import comfy.model_management as management
import comfy.sd
import folder_paths
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy_extras.nodes_hooks import SetClipHooks
from motion_adapters.nodes.bases import (
    AnimateDiffBaseFromModel,
    LoadAnimateDiffBase,
    LoadZeroScope,
    SampleMotionBase,
)
from motion_adapters.nodes.comfy_models.schedule import model_sampling
from motion_adapters.nodes.host.bridge import computing_dtype
from motion_adapters.nodes.host.folders import register_folders
from motion_adapters.nodes.host.model_choices import SAMPLE_MODULE
from motion_adapters.nodes.sockets import MotionBase

from motion_core.backbones.animatediff import AnimateDiff
from motion_core.bases import base_defaults
from motion_core.diffusion.encoding import encode_prompts
from motion_core.errors import AdapterError, FormatError, SettingsError
from motion_core.shape_world.base import (
    ANIMATEDIFF,
    IMAGE,
    LICENCE,
    MOTION_MODULE,
    PERSONALISED,
    VIDEO,
    load_shape_world,
)
from tests.base_files import save_checkpoint, save_motion_module, save_video_model
from tests.comfyui.inside import base_objects
from tests.comfyui.inside.base_objects import (
    CORE_LAYER,
    LAYER,
    Objects,
    base_of,
    kohya_lora,
    outputs,
    randn,
)
from tests.comfyui.inside.called import called
from tests.comfyui.inside.motions import on_animatediff
from tests.tiny import tiny_animatediff, tiny_zeroscope

# Fixtures.
core = base_objects.core
objects = base_objects.objects


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


@pytest.mark.parametrize("checkpoint", ["standard", "personalised"])
def test_the_sample_node(checkpoint: str) -> None:
    model, clip, vae, base, video = outputs(
        SampleMotionBase, base="animatediff", checkpoint=checkpoint
    )
    assert isinstance(model, ModelPatcher) and isinstance(base, MotionBase)
    assert isinstance(clip, comfy.sd.CLIP) and isinstance(vae, comfy.sd.VAE)
    file = PERSONALISED if checkpoint == "personalised" else IMAGE
    core = load_shape_world(ANIMATEDIFF, file)
    made = base.backbone.network.state_dict()
    for name, weight in core.network.state_dict().items():
        assert torch.equal(made[name], weight), name
    weight = model.model.diffusion_model.get_parameter(f"{LAYER}.weight")
    assert torch.equal(weight, core.network.get_parameter(f"{CORE_LAYER}.weight"))
    assert not any(p.is_inference() for p in base.backbone.network.parameters())
    assert video.get_components().images.shape == (base.defaults.frames, 512, 512, 3)


def test_the_sample_node_refuses_what_there_is_not() -> None:
    with pytest.raises(SettingsError, match="zeroscope sample base does not have"):
        outputs(SampleMotionBase, base="zeroscope", checkpoint="personalised")


def test_base_from_model_node(model_folders: Path) -> None:
    model, clip, vae, base, _ = outputs(SampleMotionBase, base="animatediff")
    shipped = base_of(model, clip, vae, SAMPLE_MODULE)
    assert (shipped.defaults, shipped.backbone.version) == (base.defaults, ANIMATEDIFF)
    assert shipped.backbone.licence == base.backbone.licence == LICENCE
    from_file = base_of(model, clip, vae, "motion.safetensors")
    assert from_file.backbone.version == "animatediff-sd15-v3"  # what its shapes say
    assert from_file.defaults == base_defaults("animatediff")
    assert base_of(model, clip, vae, "motion.safetensors").name == from_file.name


def test_motions_play_on_the_schedule_that_they_are_trained_on(
    model_folders: Path, objects: Objects
) -> None:
    """Of an image model on v-prediction with zero terminal SNR, as shape world's is: ᾱ ends at 0,
    in the base that is made of it and in the MODEL that plays.
    """
    trained = base_of(*objects, "motion.safetensors").backbone.scheduler
    assert float(trained.alphas_cumprod[-1]) == 0.0
    played, _ = on_animatediff(objects[0], motion_module="motion.safetensors")
    sampling = played.get_model_object("model_sampling")
    assert torch.equal(sampling.sigmas, model_sampling(trained).sigmas)


def test_stable_diffusion_2_is_refused_by_name(objects: Objects) -> None:
    """Its UNet differs from Stable Diffusion 1.5's in the width of prompts alone."""
    model, clip, vae = objects
    own = model.model.model_config
    config = type(own)({**own.unet_config, "context_dim": 1024})
    config.latent_format, config.manual_cast_dtype = own.latent_format, None
    config.unet_config["dtype"] = torch.float32
    network = type(model.model)(config, device=torch.device("cpu"))
    other = ModelPatcher(network, torch.device("cpu"), torch.device("cpu"))
    with pytest.raises(AdapterError, match=r"MODEL is Stable Diffusion 2 .* 1024 wide, not 768"):
        on_animatediff(other)
    with pytest.raises(FormatError, match="is a Stable Diffusion 2 checkpoint"):
        base_of(other, clip, vae, SAMPLE_MODULE)


def test_loras_by_hooks_are_no_part_of_a_base_and_that_is_said(
    core: AnimateDiff, objects: Objects, caplog: pytest.LogCaptureFixture
) -> None:
    """The nodes Create Hook LoRA and Set CLIP Hooks do so."""
    model, clip, vae = objects
    hooks = comfy.hooks.create_hook_lora(kohya_lora(core)[0], 1.0, 1.0)
    (hooked,) = SetClipHooks().apply_hooks(clip, False, True, hooks)
    connected = {"model": model, "vae": vae, "motion_module": SAMPLE_MODULE}
    plain = called(AnimateDiffBaseFromModel, clip=clip, **connected)
    assert plain.ui is None and "hooks" not in caplog.text
    told = called(AnimateDiffBaseFromModel, clip=hooked, **connected)
    assert told.args[0].name == plain.args[0].name
    assert "The connected CLIP has hook LoRAs" in told.ui.as_dict()["text"][0]
    assert "add it with Load LoRA" in caplog.text


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
    with pytest.raises(FormatError, match=r"The file gone.* no longer exists"):
        outputs(
            LoadAnimateDiffBase,
            checkpoint="gone.safetensors",
            motion_module="motion.safetensors",
        )


def test_zeroscope_node_wants_vae_and_text_encoder(model_folders: Path) -> None:
    options = LoadZeroScope.define_schema().inputs[0].options
    assert "text2video/video.safetensors" in options
    with pytest.raises(FormatError, match="contains no VAE and no text encoder"):
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
    made = base.backbone.network.state_dict()
    for name, weight in tiny.network.state_dict().items():
        assert torch.equal(made[name], weight), name
    assert not any(p.is_inference() for p in base.backbone.network.parameters())
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


def test_zeroscope_is_kept_in_what_it_computes_in(
    model_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In half precision where ComfyUI says so, once for the base and the MODEL; float32 here."""
    assert computing_dtype(1_412_000_000) == computing_dtype(1_000_000) == torch.float32
    save_video_model(tiny_zeroscope(), model_folders / "text2video" / "tiny.safetensors")
    monkeypatch.setattr(management, "unet_dtype", lambda *_, **__: torch.float16)
    monkeypatch.setattr(management, "unet_manual_cast", lambda *_, **__: None)
    assert computing_dtype(1_412_000_000) == torch.float16
    assert computing_dtype(1_000_000) == torch.float32
    model, _, _, base = outputs(LoadZeroScope, model="text2video/tiny.safetensors")
    mine, theirs = base.backbone.network.state_dict(), model.model.diffusion_model.state_dict()
    assert {tensor.dtype for tensor in mine.values()} == {torch.float16}
    assert all(theirs[name].data_ptr() == tensor.data_ptr() for name, tensor in mine.items())
    for part in (base.backbone.vae, base.backbone.text.model):
        assert {parameter.dtype for parameter in part.parameters()} == {torch.float32}


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
    with pytest.raises(FormatError, match="The folder zs no longer exists"):
        outputs(LoadZeroScope, model="diffusers/zs")
