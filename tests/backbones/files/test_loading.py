"""Bases written to real files and loaded again; files of other roles, sizes and states refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import MotionAdapter
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from motion_core.backbones.animatediff import AnimateDiff, load_animatediff
from motion_core.backbones.files.kinds import file_role
from motion_core.backbones.files.roles import Role
from motion_core.backbones.files.tensors import open_tensors
from motion_core.backbones.zeroscope import load_zeroscope
from motion_core.errors import FormatError
from tests.base_files import save_checkpoint, save_motion_module, save_video_model
from tests.tiny import (
    CHANNELS,
    MAX_FRAMES,
    tiny_animatediff,
    tiny_image_unet,
    tiny_zeroscope,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """image.safetensors, motion.safetensors and video.safetensors of the tinies."""
    path = tmp_path_factory.mktemp("bases")
    backbone = tiny_animatediff("v_prediction")
    save_checkpoint(backbone, path / "image.safetensors")
    save_motion_module(backbone, path / "motion.safetensors")
    save_video_model(tiny_zeroscope(), path / "video.safetensors")
    return path


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    mine, theirs = one.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)


def predictions(backbone: AnimateDiff) -> Tensor:
    rng = torch.Generator().manual_seed(2)
    latents = torch.randn(1, 4, 3, 8, 8, generator=rng)
    with torch.no_grad():
        return backbone.predict(latents, torch.tensor([500]), backbone.text.encode(["a red dot"]))


def test_animatediff_round_trip_is_bit_equal(folder: Path) -> None:
    before = tiny_animatediff("v_prediction")
    after = load_animatediff(folder / "image.safetensors", folder / "motion.safetensors")
    assert_same_weights(before.network, after.network)
    assert_same_weights(before.vae, after.vae)
    assert_same_weights(before.text.model, after.text.model)
    assert torch.equal(predictions(before), predictions(after))
    assert after.scheduler.config["prediction_type"] == "v_prediction"
    assert torch.equal(after.scheduler.alphas_cumprod, before.scheduler.alphas_cumprod)
    assert (after.version, after.licence) == (before.version, "test")
    assert (after.text.pad_token, after.frame_rule.most) == (49407, MAX_FRAMES)


def test_animatediff_from_an_opened_checkpoint(folder: Path) -> None:
    opened = open_tensors(folder / "image.safetensors")
    backbone = load_animatediff(opened, folder / "motion.safetensors", version="shape-world-mine")
    assert_same_weights(backbone.network, tiny_animatediff("v_prediction").network)
    assert backbone.version == "shape-world-mine"


def test_zeroscope_round_trip_is_bit_equal(folder: Path) -> None:
    before, after = tiny_zeroscope(), load_zeroscope(folder / "video.safetensors")
    assert_same_weights(before.network, after.network)
    assert_same_weights(before.vae, after.vae)
    assert_same_weights(before.text.model, after.text.model)
    assert after.text.pad_token == 0


def test_loading_to_half_precision(folder: Path) -> None:
    loaded = load_animatediff(
        folder / "image.safetensors", folder / "motion.safetensors", dtype=torch.float16
    )
    assert {p.dtype for p in loaded.network.parameters()} == {torch.float16}
    assert not any(p.requires_grad for p in loaded.network.parameters())


def test_a_torch_file_with_module_prefixes_in_a_state_dict(folder: Path, tmp_path: Path) -> None:
    """As the authors' training script saves motion modules; UNet tensors beside them are left."""
    tensors = load_file(folder / "motion.safetensors")
    state = {f"module.{key}": tensor for key, tensor in tensors.items()}
    state["module.conv_in.bias"] = torch.zeros(8)
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "mm.ckpt")
    assert file_role(tmp_path / "mm.ckpt") is Role.MOTION_MODULE_V2
    # Without our metadata 8 heads are taken; the tiny UNet has 8 channels, so 1 channel a head.
    loaded = load_animatediff(folder / "image.safetensors", tmp_path / "mm.ckpt")
    assert_same_weights(tiny_animatediff("v_prediction").network, loaded.network)
    assert loaded.network.config["motion_num_attention_heads"] == 8
    assert loaded.version == "animatediff-sd15-v2"


def test_diffusers_folders(folder: Path, tmp_path: Path) -> None:
    before = tiny_animatediff("v_prediction")
    weights = before.network.state_dict()
    image = tiny_image_unet()
    image.load_state_dict({k: v for k, v in weights.items() if "motion_modules" not in k})
    motion = MotionAdapter(
        block_out_channels=CHANNELS,
        motion_layers_per_block=1,
        motion_num_attention_heads=2,
        motion_norm_num_groups=4,
        motion_max_seq_length=MAX_FRAMES,
    )
    motion.load_state_dict({k: v for k, v in weights.items() if "motion_modules" in k})
    image.save_pretrained(tmp_path / "sd" / "unet")
    before.vae.save_pretrained(tmp_path / "sd" / "vae")
    before.text.model.save_pretrained(tmp_path / "sd" / "text_encoder")
    motion.save_pretrained(tmp_path / "motion")
    after = load_animatediff(tmp_path / "sd", tmp_path / "motion")
    assert torch.equal(predictions(before), predictions(after))
    assert_same_weights(before.vae, after.vae)
    # Guo et al.: linear betas from 0.00085, so the first alpha is 1 - 0.00085.
    assert after.scheduler.config["prediction_type"] == "epsilon"
    assert float(after.scheduler.alphas_cumprod[0]) == pytest.approx(1 - 0.00085)


def test_zeroscope_diffusers_folder(tmp_path: Path) -> None:
    before = tiny_zeroscope()
    before.network.save_pretrained(tmp_path / "unet")
    before.vae.save_pretrained(tmp_path / "vae")
    before.text.model.save_pretrained(tmp_path / "text_encoder")
    before.scheduler.save_pretrained(tmp_path / "scheduler")
    after = load_zeroscope(tmp_path)
    assert_same_weights(before.network, after.network)
    assert_same_weights(before.text.model, after.text.model)
    assert torch.equal(after.scheduler.alphas_cumprod, before.scheduler.alphas_cumprod)


def test_a_bare_modelscope_unet_takes_vae_and_text_from_elsewhere(
    folder: Path, tmp_path: Path
) -> None:
    """ComfyUI's form: no VAE, no text encoder, and spatial projections as 1x1 convolutions."""
    whole = open_tensors(folder / "video.safetensors")
    prefix = "model.diffusion_model."
    bare = {
        key.removeprefix(prefix): whole.read(key) for key in whole.shapes if key.startswith(prefix)
    }
    for key in bare:
        if ".1.proj_" in key and bare[key].ndim == 2:
            bare[key] = bare[key][..., None, None]
    save_file(bare, tmp_path / "unet.safetensors", dict(whole.metadata))
    with pytest.raises(FormatError, match="no VAE and no text encoder"):
        load_zeroscope(tmp_path / "unet.safetensors")
    other = folder / "video.safetensors"
    loaded = load_zeroscope(tmp_path / "unet.safetensors", vae=other, text_encoder=other)
    assert_same_weights(tiny_zeroscope().network, loaded.network)


def test_domain_adapter_is_added_to_the_spatial_weights(folder: Path, tmp_path: Path) -> None:
    """up = [1, 0, …]ᵀ and down = [0.5, 0, …] add 0.5 to the first entry of W and nothing else."""
    stem = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora"
    up, down = torch.zeros(8, 1), torch.zeros(1, 8)
    up[0], down[0, 0] = 1.0, 0.5
    torch.save({f"{stem}.down.weight": down, f"{stem}.up.weight": up}, tmp_path / "adapter.ckpt")
    assert file_role(tmp_path / "adapter.ckpt") is Role.DOMAIN_ADAPTER
    files = folder / "image.safetensors", folder / "motion.safetensors"
    with_it = load_animatediff(
        *files, domain_adapter=tmp_path / "adapter.ckpt"
    ).network.state_dict()
    without = load_animatediff(*files).network.state_dict()
    changed = [key for key in without if not torch.equal(with_it[key], without[key])]
    layer = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.weight"
    assert changed == [layer]
    expected = torch.zeros(8, 8)
    expected[0, 0] = 0.5
    torch.testing.assert_close(with_it[layer] - without[layer], expected)


SD = "model.diffusion_model."
ROLES: dict[Role, dict[str, tuple[int, ...]]] = {
    Role.SDXL_CHECKPOINT: {
        f"{SD}input_blocks.0.0.weight": (8, 4, 3, 3),
        f"{SD}label_emb.0.0.weight": (2, 2),
    },
    Role.SD2_CHECKPOINT: {
        f"{SD}input_blocks.0.0.weight": (8, 4, 3, 3),
        "cond_stage_model.model.ln_final.weight": (2,),
    },
    Role.INPAINTING_CHECKPOINT: {f"{SD}input_blocks.0.0.weight": (8, 9, 3, 3)},
    Role.IMAGE_UNET: {"input_blocks.0.0.weight": (8, 4, 3, 3)},
    Role.MOTION_MODULE_V1: {
        "down_blocks.0.motion_modules.0.temporal_transformer.norm.weight": (4,),
        "down_blocks.0.motion_modules.0.temporal_transformer.pos_encoder.pe": (1, 24, 4),
    },
    Role.MOTION_MODULE_V3: {
        "down_blocks.0.motion_modules.0.temporal_transformer.norm.weight": (4,),
        "down_blocks.0.motion_modules.0.temporal_transformer.pos_encoder.pe": (1, 32, 4),
    },
    Role.MOTION_LORA: {
        "down_blocks.0.motion_modules.0.attention_blocks.0.processor.to_q_lora.down.weight": (1, 4)
    },
    Role.KOHYA_LORA: {"lora_unet_down_blocks_0_attentions_0.lora_down.weight": (1, 4)},
    Role.DIFFUSERS_LORA: {"unet.down_blocks.0.attentions.0.attn1.to_q.lora_A.weight": (1, 4)},
    Role.VAE: {"decoder.conv_in.weight": (4, 4, 3, 3), "encoder.conv_in.weight": (4, 3, 3, 3)},
    Role.TEXT_ENCODER: {"text_model.encoder.layers.0.self_attn.q_proj.weight": (4, 4)},
    Role.CONTROLNET: {"control_model.input_blocks.0.0.weight": (4, 4, 3, 3)},
    Role.UNKNOWN: {"string_to_param.*": (1, 4)},
}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_roles_and_refusals(role: Role, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    save_file({key: torch.zeros(shape) for key, shape in ROLES[role].items()}, path)
    assert file_role(path) is role
    with pytest.raises(FormatError, match=r"file\.safetensors is .*not a Stable Diffusion 1.5"):
        load_animatediff(path, folder / "motion.safetensors")
    with pytest.raises(FormatError, match=r"file\.safetensors is .*not a text-to-video UNet"):
        load_zeroscope(path)


def test_own_adapters_are_known_by_their_metadata(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "a.safetensors", {"motion_adapter": "{}"})
    assert file_role(tmp_path / "a.safetensors") is Role.OWN_ADAPTER


def test_wrong_role_says_what_it_is_and_where_it_belongs(folder: Path, tmp_path: Path) -> None:
    name = "mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight"
    torch.save({name: torch.zeros(1, 4)}, tmp_path / "v3_adapter.ckpt")
    message = "v3_adapter.ckpt is an AnimateDiff domain adapter, not an AnimateDiff motion module; "
    with pytest.raises(FormatError, match=message + "use it as the domain adapter"):
        load_animatediff(folder / "image.safetensors", tmp_path / "v3_adapter.ckpt")


def test_missing_unknown_and_misshapen_tensors(folder: Path, tmp_path: Path) -> None:
    tensors = load_file(folder / "motion.safetensors")
    metadata = dict(open_tensors(folder / "motion.safetensors").metadata)
    path, image = tmp_path / "m.safetensors", folder / "image.safetensors"

    norm = "down_blocks.0.motion_modules.0.temporal_transformer.norm.weight"
    save_file({key: tensor for key, tensor in tensors.items() if key != norm}, path, metadata)
    with pytest.raises(FormatError, match=r"m\.safetensors lacks down_blocks\.0.*norm\.weight"):
        load_animatediff(image, path)

    gone = [key for key in tensors if ".ff." in key][:4]
    save_file({key: tensors[key] for key in tensors if key not in gone}, path, metadata)
    with pytest.raises(FormatError, match=r"m\.safetensors lacks 4 of \d+ tensors of the motion"):
        load_animatediff(image, path)

    save_file({**tensors, "down_blocks.0.motion_modules.0.gate": torch.zeros(1)}, path, metadata)
    with pytest.raises(
        FormatError, match=r"has 1 tensors that the motion.*motion_modules\.0\.gate"
    ):
        load_animatediff(image, path)

    other = next(key for key in tensors if key.endswith("proj_in.bias"))
    save_file({**tensors, other: torch.zeros(3)}, path, metadata)
    with pytest.raises(FormatError, match=r"proj_in\.bias is \(3,\), expected"):
        load_animatediff(image, path)

    save_file({**tensors, norm: torch.zeros(320)}, path, metadata)
    with pytest.raises(FormatError, match=r"made for a UNet with widths \[320, 16\].*\[8, 16\]"):
        load_animatediff(image, path)


def test_missing_damaged_and_unsafe_files(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="There is no file"):
        file_role(tmp_path / "none.safetensors")
    for suffix, source in ((".safetensors", folder / "motion.safetensors"), (".ckpt", None)):
        whole = tmp_path / f"whole{suffix}"
        if source is None:
            torch.save({"x": torch.zeros(5000)}, whole)
        content = (source or whole).read_bytes()
        cut = tmp_path / f"cut{suffix}"
        cut.write_bytes(content[: len(content) // 2])
        with pytest.raises(FormatError, match=r"cut\.\w+ .*damaged"):
            file_role(cut)
        cut.write_bytes(b"")
        with pytest.raises(FormatError, match=r"cut\.\w+ .*damaged"):
            file_role(cut)
    with pytest.raises(FormatError, match="is a folder; expected a file"):
        file_role(folder)
    torch.save({"path": Path("x"), "x": torch.zeros(1)}, tmp_path / "unsafe.ckpt")
    with pytest.raises(FormatError, match="can run code"):
        file_role(tmp_path / "unsafe.ckpt")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(FormatError, match="is not a model file"):
        file_role(tmp_path / "notes.txt")


def test_a_file_from_before_torch_1_6_that_is_cut_off_anywhere(tmp_path: Path) -> None:
    """torch's unpickler then fails with errors of its own: IndexError, struct.error and others."""
    path = tmp_path / "old.ckpt"
    torch.save({"x": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(FormatError, match=r"old\.ckpt .*damaged"):
            file_role(path)


def test_files_of_a_later_format_are_refused(folder: Path, tmp_path: Path) -> None:
    tensors = load_file(folder / "image.safetensors")
    path = tmp_path / "image.safetensors"
    save_file(tensors, path, {"motion_core": json.dumps({"format_version": 99})})
    with pytest.raises(FormatError, match="format version 99"):
        load_animatediff(path, folder / "motion.safetensors")
