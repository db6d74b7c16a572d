"""Tensor names of LoRAs in files."""

from __future__ import annotations

import pytest
import torch

from motion_core.adapters.lora.keys import LoraPair, from_keys, to_keys
from motion_core.backbones.files.lora_names import ANIMATEDIFF_NAMES, PEFT_NAMES
from motion_core.errors import FormatError

MODULE = "down_blocks.0.motion_modules.1"
# The first is the example in AnimateDiff-Evolved's loader (d8d163c, model_injection.py); the others
# follow from its rule: without "processor.", "_lora", "down." and "up.", and with "to_out.0." for
# "to_out.", the name of the motion module's weight is left.
NAMES = {
    "attn1.to_q": "attention_blocks.0.processor.to_q_lora",
    "attn1.to_out.0": "attention_blocks.0.processor.to_out_lora",
    "attn2.to_v": "attention_blocks.1.processor.to_v_lora",
    "ff.net.0.proj": "ff.net.0.proj_lora",
    "ff.net.2": "ff.net.2_lora",
}


def a_pair(rank: int = 2) -> LoraPair:
    return LoraPair(torch.zeros(rank, 3), torch.zeros(4, rank))


@pytest.mark.parametrize("module", [MODULE, "mid_block.motion_modules.0"])
@pytest.mark.parametrize("layer", NAMES)
def test_animatediff_names(module: str, layer: str) -> None:
    pairs = {f"{module}.transformer_blocks.0.{layer}": a_pair()}
    stem = f"{module}.temporal_transformer.transformer_blocks.0.{NAMES[layer]}"
    tensors = to_keys(pairs, ANIMATEDIFF_NAMES)
    assert set(tensors) == {f"{stem}.down.weight", f"{stem}.up.weight"}
    assert tensors[f"{stem}.down.weight"] is next(iter(pairs.values())).down
    assert from_keys(tensors, ANIMATEDIFF_NAMES) == pairs


def test_peft_names() -> None:
    pairs = {"transformer_in.transformer_blocks.0.attn1.to_out.0": a_pair()}
    stem = "transformer_in.transformer_blocks.0.attn1.to_out.0"
    assert set(to_keys(pairs, PEFT_NAMES)) == {f"{stem}.lora_A.weight", f"{stem}.lora_B.weight"}
    assert from_keys(to_keys(pairs, PEFT_NAMES), PEFT_NAMES) == pairs


def test_spatial_layers_have_no_animatediff_name() -> None:
    with pytest.raises(FormatError, match="has no name in an AnimateDiff motion LoRA"):
        to_keys(
            {"mid_block.attentions.0.transformer_blocks.0.attn1.to_q": a_pair()}, ANIMATEDIFF_NAMES
        )


STEM = f"{MODULE}.temporal_transformer.transformer_blocks.0.attention_blocks.0.processor.to_q_lora"


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({f"{STEM}.down.weight": torch.zeros(2, 3)}, "1 tensors are not LoRA pairs"),
        ({f"{STEM}.alpha": torch.ones(())}, "1 tensors are not LoRA pairs"),
        (
            {"a.down.weight": torch.zeros(2, 3), "a.up.weight": torch.zeros(4, 2)},
            "'a' is not a layer",
        ),
        (
            {f"{STEM}.down.weight": torch.zeros(2, 3), f"{STEM}.up.weight": torch.zeros(4, 5)},
            r"\(2, 3\) and \(4, 5\); expected \(rank, in\) and \(out, rank\)",
        ),
    ],
)
def test_other_tensors_are_refused(tensors: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        from_keys(tensors, ANIMATEDIFF_NAMES)
