"""LoRAs in the names of every program are the same change; what is not understood is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from motion_core.adapter_files.formats import FORMATS
from motion_core.adapter_files.other_programs import export_metadata, exported
from motion_core.adapter_files.reading import read_any_adapter
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.errors import AdapterError, FormatError
from tests.adapter_files.test_own import adapters
from tests.lora_names import NAMINGS, named, with_alpha


def read(tensors: dict[str, Tensor], folder: Path, **metadata: str) -> dict[str, LoraAdapter]:
    path = folder / "x.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)
    return dict(read_any_adapter(path).adapters)  # type: ignore[arg-type]


def assert_same(found: LoraAdapter, expected: LoraAdapter) -> None:
    assert (found.scope, found.family) == (expected.scope, expected.family)
    assert found.pairs.keys() == expected.pairs.keys()
    for name, (down, up) in expected.pairs.items():
        torch.testing.assert_close(found.pairs[name].up @ found.pairs[name].down, up @ down)


@pytest.mark.parametrize("naming", NAMINGS)
def test_a_motion_lora_in_every_programs_names(naming: str, tmp_path: Path) -> None:
    temporal = adapters()["temporal"]
    found = read(named(temporal, naming), tmp_path)
    assert list(found) == ["temporal"]
    assert_same(found["temporal"], temporal)


def test_names_of_the_trainers_as_they_are_in_a_file() -> None:
    """Three layers by hand, of AnimateDiff-MotionDirector c7f57f0, `convert_to_motion_lora_key`."""
    block = "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0."
    layer = "down_blocks.0.motion_modules.0.transformer_blocks.0."
    name = NAMINGS["MotionDirector trainers"]
    assert name(f"{layer}attn2.to_out.0")[0] == (
        f"{block}attention_blocks.1.to_out.processor.0_lora.down.weight"
    )
    assert name(f"{layer}attn1.to_q")[1] == (
        f"{block}attention_blocks.0.processor.to_q_lora.up.weight"
    )
    assert name(f"{layer}ff.net.2")[0] == f"{block}ff.net.processor.2_lora.down.weight"


@pytest.mark.parametrize("naming", ["kohya", "peft", "diffusers", "lora_down with dots"])
def test_alpha_is_a_part_of_the_change(naming: str, tmp_path: Path) -> None:
    """Rank 2 and alpha 0.5: delta = up·down·0.5/2, so that a file with up four times as large is
    the same change.
    """
    temporal = adapters()["temporal"]
    assert_same(read(with_alpha(temporal, naming, 0.5), tmp_path)["temporal"], temporal)


def test_one_layer_by_hand(tmp_path: Path) -> None:
    """up = [[2], [4]], down = [[1, 3]], alpha 0.5, rank 1: [[1, 3], [2, 6]]."""
    stem = "lora_unet_mid_block_motion_modules_0_transformer_blocks_0_attn1_to_out_0"
    tensors = {
        f"{stem}.lora_down.weight": torch.tensor([[1.0, 3.0]]),
        f"{stem}.lora_up.weight": torch.tensor([[2.0], [4.0]]),
        f"{stem}.alpha": torch.tensor(0.5),
    }
    pairs = read(tensors, tmp_path)["temporal"].pairs
    pair = pairs["mid_block.motion_modules.0.transformer_blocks.0.attn1.to_out.0"]
    assert torch.equal(pair.up @ pair.down, torch.tensor([[1.0, 3.0], [2.0, 6.0]]))


@pytest.mark.parametrize("family", ["animatediff", "zeroscope"])
@pytest.mark.parametrize("name", ["temporal", "spatial.0"])
@pytest.mark.parametrize("form", FORMATS)
def test_what_is_converted_is_read_back(family: str, name: str, form: str, tmp_path: Path) -> None:
    adapter = adapters(family)[name]
    try:
        tensors = exported(adapter, form)
    except AdapterError:
        # AnimateDiff's motion has no names in ComfyUI's and kohya's own loaders, ZeroScope has
        # peft's alone, and AnimateDiff's format holds motion alone.
        motion = {"animatediff", "diffusers", "peft"}
        appearance = {"diffusers", "peft", "comfyui", "kohya"}
        possible = motion if name == "temporal" else appearance
        assert form not in (possible if family == "animatediff" else {"peft"})
        return
    found = read(tensors, tmp_path, **export_metadata(adapter))
    assert_same(found[name], adapter)


def test_motion_and_appearance_in_one_file(tmp_path: Path) -> None:
    some = adapters()
    both = {**named(some["temporal"], "peft"), **named(some["spatial.0"], "peft")}
    found = read(both, tmp_path)
    assert_same(found["temporal"], some["temporal"])
    assert_same(found["spatial.0"], some["spatial.0"])


def test_tensors_that_are_left_out_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tensors = named(adapters()["temporal"], "AnimateDiff")
    tensors["something.else"] = torch.zeros(1)
    read(tensors, tmp_path)
    assert "1 tensors belong to none of the layers" in caplog.text
    assert "something.else" in caplog.text


LAYER = "mid_block.motion_modules.0.transformer_blocks.0.attn1.to_q"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({f"{LAYER}.lora_B.weight": None}, "half of a pair: its up matrix is missing"),
        ({f"{LAYER}.lora_A.weight": torch.zeros(3, 16)}, "do not fit together"),
        ({f"{LAYER}.lora_A.weight": torch.zeros(2, 16).long()}, "is not floating point"),
        ({f"{LAYER}.alpha": torch.zeros(2)}, "its alpha has the shape"),
        ({f"{LAYER}.alpha": torch.tensor(float("nan"))}, "expected a finite number"),
        ({f"{LAYER}.dora_scale": torch.zeros(16, 1)}, "DoRA, not a pair of matrices"),
        ({f"unet.{LAYER}.lora_A.weight": torch.zeros(2, 16)}, "several down tensors"),
        (
            {f"{LAYER}x.lora_{part}.weight": torch.zeros(2, 2) for part in "AB"},
            r"to_qx\.lora_A\.weight: it has no such layer",
        ),
    ],
)
def test_damaged_motion_loras(
    changed: dict[str, Tensor | None], message: str, tmp_path: Path
) -> None:
    tensors = {**named(adapters()["temporal"], "peft"), **changed}
    with pytest.raises(FormatError, match=message):
        read({name: t for name, t in tensors.items() if t is not None}, tmp_path)
