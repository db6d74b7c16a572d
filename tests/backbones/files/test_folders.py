"""Folders in diffusers' form that belong to another model or whose configuration is odd, refused in
one line.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from motion_core.backbones.animatediff import load_animatediff
from motion_core.backbones.zeroscope import load_zeroscope
from motion_core.errors import FormatError
from tests.base_files import save_checkpoint, save_motion_module
from tests.tiny import tiny_animatediff, tiny_zeroscope


def test_stable_diffusion_2_is_refused_by_name(tmp_path: Path) -> None:
    """Its prompts are OpenCLIP ViT-H/14's, 1024 wide."""
    (tmp_path / "unet").mkdir()
    tensors = {
        "conv_in.weight": torch.zeros(8, 4, 3, 3),
        "down_blocks.0.resnets.0.norm1.weight": torch.zeros(8),
        "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight": torch.zeros(8, 1024),
    }
    save_file(tensors, tmp_path / "unet" / "diffusion_pytorch_model.safetensors")
    with pytest.raises(FormatError, match="is a Stable Diffusion 2 checkpoint, not a Stable"):
        load_animatediff(tmp_path, tmp_path / "motion.safetensors")


@pytest.fixture(scope="module")
def zeroscope(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, backbone = tmp_path_factory.mktemp("zeroscope"), tiny_zeroscope()
    backbone.network.save_pretrained(path / "unet")
    backbone.vae.save_pretrained(path / "vae")
    backbone.text.model.save_pretrained(path / "text_encoder")
    backbone.scheduler.save_pretrained(path / "scheduler")
    return path


ODD: list[tuple[str, Any, str]] = [
    ("unet/config.json", [], "config.json contains a list, not a table"),
    ("unet/config.json", {"block_out_channels": "wide"}, r"unet cannot be used \(\w+Error"),
    ("unet/config.json", {"down_block_types": ["Surprise"]}, r"unet cannot be used \(ValueError"),
    ("unet/config.json", {"attention_head_dim": 0}, r"unet cannot be used \(ZeroDivisionError"),
    ("vae/config.json", {"block_out_channels": 3}, r"the VAE in .* cannot be used \(\w+Error"),
    ("text_encoder/config.json", {"hidden_size": "x"}, r"the text encoder .* cannot be used"),
    ("scheduler/scheduler_config.json", {"beta_schedule": "magic"}, "the scheduler cannot be used"),
]


@pytest.mark.parametrize(("file", "change", "expected"), ODD)
def test_odd_configurations(
    zeroscope: Path, tmp_path: Path, file: str, change: Any, expected: str
) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(zeroscope, folder)
    values = json.loads((folder / file).read_text())
    odd = {**values, **change} if isinstance(change, dict) else change
    (folder / file).write_text(json.dumps(odd))
    with pytest.raises(FormatError, match=expected) as caught:
        load_zeroscope(folder)
    assert "\n" not in str(caught.value)


def test_an_image_unet_without_entries(tmp_path: Path) -> None:
    """What is left out is diffusers' default, but for the kinds of blocks, which have to be
    translated.
    """
    image = UNet2DConditionModel(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=8,
        attention_head_dim=2,
    )
    image.save_pretrained(tmp_path / "unet")
    motion = tmp_path / "motion.safetensors"
    save_motion_module(tiny_animatediff(), motion)
    config = tmp_path / "unet" / "config.json"
    values = json.loads(config.read_text())
    for gone, expected in (
        ("down_block_types", r"unet cannot be used \(KeyError: 'down_block_types'"),
        ("block_out_channels", "cannot be used"),
    ):
        config.write_text(json.dumps({k: v for k, v in values.items() if k != gone}))
        with pytest.raises(FormatError, match=expected):
            load_animatediff(tmp_path, motion)


@pytest.mark.parametrize("header", ["[]", "3", '{"format_version": 1, "unet": [3]}'])
def test_a_header_that_is_no_table(tmp_path: Path, header: str) -> None:
    whole, odd = tmp_path / "whole.safetensors", tmp_path / "odd.safetensors"
    save_checkpoint(tiny_animatediff(), whole)
    save_file(load_file(whole), odd, {"motion_core": header})
    with pytest.raises(FormatError, match=r"odd\.safetensors has a damaged header"):
        load_animatediff(odd, tmp_path / "motion.safetensors")
