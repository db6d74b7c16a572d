"""One LoRA in the names of every program, for the layers of a base.

Written from the programs' own savers, not from the code that reads them: see the references in
motion_core/backbones/files/lora_keys.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from motion_core.adapters.lora.adapter import LoraAdapter

Namer = Callable[[str], tuple[str, str]]
"""A layer's name in diffusers' UNet → the names of its down and its up."""


def animatediff(layer: str) -> str:
    """The layer in AnimateDiff's own UNet."""
    name = re.sub(r"(motion_modules\.\d+)\.", r"\1.temporal_transformer.", layer)
    return name.replace(".attn1.", ".attention_blocks.0.").replace(
        ".attn2.", ".attention_blocks.1."
    )


def _ends(stem: str, down: str, up: str) -> tuple[str, str]:
    return stem + down, stem + up


def _original(layer: str) -> tuple[str, str]:
    """`to_out.0` is `processor.to_out_lora`; feed-forward layers have no processor."""
    name = re.sub(r"\.(to_[qkv]|to_out)(?:\.0)?$", r".processor.\1", animatediff(layer))
    return _ends(name, "_lora.down.weight", "_lora.up.weight")


def _trainers(layer: str) -> tuple[str, str]:
    """`convert_to_motion_lora_key`: "processor" comes before the last part, whatever it is."""
    stem, _, last = animatediff(layer).rpartition(".")
    return _ends(f"{stem}.processor.{last}", "_lora.down.weight", "_lora.up.weight")


def _diffusers(layer: str) -> tuple[str, str]:
    if ".to_" not in layer:
        return _ends(f"unet.{layer}", ".lora.down.weight", ".lora.up.weight")
    name = re.sub(r"\.(to_[qkv]|to_out)(?:\.0)?$", r".processor.\1", layer)
    return _ends(f"unet.{name}", "_lora.down.weight", "_lora.up.weight")


def _flat(layer: str) -> tuple[str, str]:
    return _ends(f"lora_unet_{layer.replace('.', '_')}", ".lora_down.weight", ".lora_up.weight")


NAMINGS: Mapping[str, Namer] = {
    "AnimateDiff": _original,
    "MotionDirector trainers": _trainers,
    "diffusers": _diffusers,
    "diffusers, newer": lambda n: _ends(f"unet.{n}", ".lora.down.weight", ".lora.up.weight"),
    "peft": lambda n: _ends(n, ".lora_A.weight", ".lora_B.weight"),
    "peft in a pipeline": lambda n: _ends(f"unet.{n}", ".lora_A.weight", ".lora_B.weight"),
    "peft by itself": lambda n: _ends(
        f"base_model.model.{n}", ".lora_A.default.weight", ".lora_B.default.weight"
    ),
    "kohya": _flat,
    "kohya, AnimateDiff's layers": lambda n: _flat(animatediff(n)),
    "lora_down with dots": lambda n: _ends(animatediff(n), ".lora_down.weight", ".lora_up.weight"),
}


def named(adapter: LoraAdapter, naming: str) -> dict[str, Tensor]:
    """The adapter's tensors in these names."""
    tensors: dict[str, Tensor] = {}
    for layer, pair in adapter.pairs.items():
        tensors |= dict(zip(NAMINGS[naming](layer), pair, strict=True))
    return tensors


def with_alpha(adapter: LoraAdapter, naming: str, alpha: float) -> dict[str, Tensor]:
    """The same change with an alpha: the file's `up` is greater by rank / alpha."""
    tensors: dict[str, Tensor] = {}
    for layer, (down, up) in adapter.pairs.items():
        down_name, up_name = NAMINGS[naming](layer)
        rank = down.shape[0]
        stem = re.sub(r"\.lora_(down|A)(\.\w+)?\.weight$|[._]lora\.down\.weight$", "", down_name)
        tensors |= {
            down_name: down,
            up_name: up * (rank / alpha),
            f"{stem}.alpha": torch.tensor(alpha),
        }
    return tensors
