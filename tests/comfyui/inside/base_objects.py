"""The sample base in core and ComfyUI, a LoRA for both, and nodes run as ComfyUI runs them."""

from __future__ import annotations

from typing import Any

import comfy.sd
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from motion_adapters.nodes.bases import AnimateDiffBaseFromModel
from motion_adapters.nodes.comfy_models.native import sample_objects
from motion_adapters.nodes.sockets import MotionBase
from torch import Tensor

from motion_core.backbones.animatediff import AnimateDiff
from motion_core.shape_world.base import ANIMATEDIFF, load_shape_world

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


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def lora_of(out: int, inner: int, rank: int = 2, seed: int = 3) -> tuple[Tensor, Tensor]:
    return randn(out, rank, seed=seed) * 0.1, randn(rank, inner, seed=seed + 1) * 0.1


def kohya_lora(core: AnimateDiff) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """A LoRA in kohya's form on one layer of the UNet and one of the text tower, and its deltas."""
    width = core.network.get_parameter(f"{CORE_LAYER}.weight").shape
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


def outputs(node: type, **inputs: Any) -> tuple[Any, ...]:
    """A node's outputs, run as ComfyUI runs it."""
    with torch.inference_mode():
        return node.execute(**inputs).result


def base_of(model: ModelPatcher, clip: comfy.sd.CLIP, vae: comfy.sd.VAE, module: str) -> MotionBase:
    [base] = outputs(
        AnimateDiffBaseFromModel, model=model, clip=clip, vae=vae, motion_module=module
    )
    return base
