"""Folders in diffusers' form that belong to another model or whose configuration is odd, refused in
one line.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from motion_core.backbones.animatediff import load_animatediff
from motion_core.errors import FormatError


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
