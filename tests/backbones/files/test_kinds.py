"""Files are recognised by what they are, whatever they are called."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from motion_core.backbones.files.kinds import file_role, role_of
from motion_core.backbones.files.lora_content import lora_content
from motion_core.backbones.files.roles import Role
from motion_core.backbones.files.tensors import TensorFile, open_tensors
from motion_core.errors import FormatError
from tests.known_files import KNOWN_FILES


def as_file(name: str) -> TensorFile:
    known = KNOWN_FILES[name]
    shapes = {key: tuple(shape) for key, shape in known.shapes.items()}
    return TensorFile(
        name=f"{name}.safetensors",
        shapes=shapes,
        read=lambda key: torch.zeros(shapes[key]),
        metadata=known.metadata,
    )


@pytest.mark.parametrize("name", KNOWN_FILES)
def test_each_file_is_recognised(name: str) -> None:
    assert role_of(as_file(name)) is KNOWN_FILES[name].role


@pytest.mark.parametrize("name", KNOWN_FILES)
def test_the_order_of_the_tensors_does_not_matter(name: str) -> None:
    """safetensors keeps no order of its own: some programs sort the names, some don't."""
    file = as_file(name)
    turned = TensorFile(
        name=file.name,
        shapes=dict(reversed(file.shapes.items())),
        read=file.read,
        metadata=file.metadata,
    )
    assert role_of(turned) is KNOWN_FILES[name].role


def test_every_lora_is_understood_as_a_whole() -> None:
    """But for the one of an unknown network and LoHa's."""
    for name in KNOWN_FILES:
        content = lora_content(as_file(name))
        if content is not None and name not in ("LoHa", "a LoRA of an unknown network"):
            assert not content.unmatched, name


TEXTS = {
    b"<!doctype html><html><title>Sign in</title></html>": "is a web page, not a model",
    b"\n  <HTML>": "is a web page, not a model",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 4265146304\n": (
        "is a Git LFS pointer, not the model itself"
    ),
    b'{"error":"Invalid token"}': "a server's error message",
    b"Access to model x is restricted.": "a server's error message",
    b"GGUF\x03\x00\x00\x00": "a GGUF file",
    b"\x1f\x8b\x08\x00": "a gzip archive",
}


@pytest.mark.parametrize("suffix", [".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".PT"])
@pytest.mark.parametrize("content", TEXTS)
def test_what_is_no_model_is_named(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=TEXTS[content]):
        open_tensors(path)


@pytest.mark.parametrize("suffix", [".SAFETENSORS", ".SafeTensors", ".sft", ".SFT", ".ckpt"])
def test_the_content_says_what_a_file_is(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    save_file({"x": torch.ones(2)}, tmp_path / "x")
    (tmp_path / "x").rename(path)
    assert torch.equal(open_tensors(path).read("x"), torch.ones(2))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("suffix", [".CKPT", ".Pt", ".safetensors"])
def test_a_torch_file_under_any_name(suffix: str, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    torch.save({"x": torch.ones(2)}, path, _use_new_zipfile_serialization=zipped)
    assert torch.equal(open_tensors(path).read("x"), torch.ones(2))


def test_code_in_a_torch_file_is_not_run_under_any_name(tmp_path: Path) -> None:
    for suffix in (".safetensors", ".CKPT", ".sft"):
        path = tmp_path / f"unsafe{suffix}"
        torch.save({"path": Path("x"), "x": torch.zeros(1)}, path)
        with pytest.raises(FormatError, match="can run code"):
            open_tensors(path)


def test_nested_dictionaries_of_a_torch_file(tmp_path: Path) -> None:
    """CameraCtrl's own checkpoint has its two parts under names of their own."""
    path = tmp_path / "CameraCtrl.ckpt"
    merge = "mid_block.motion_modules.0.attention_blocks.0.processor.qkv_merge.weight"
    torch.save(
        {
            "epoch": 1,
            "pose_encoder_state_dict": {"module.encoder_conv_in.weight": torch.zeros(2)},
            "attention_processor_state_dict": {merge: torch.zeros(2)},
        },
        path,
    )
    assert file_role(path) is Role.CAMERACTRL
    assert list(open_tensors(path).shapes) == [
        "pose_encoder_state_dict.module.encoder_conv_in.weight",
        f"attention_processor_state_dict.{merge}",
    ]
    torch.save({"model": {"x": torch.ones(1)}, "step": 3}, path)
    assert list(open_tensors(path).shapes) == ["x"]


def test_a_dictionary_that_contains_itself(tmp_path: Path) -> None:
    content: dict[str, object] = {}
    content["state_dict"] = content
    torch.save(content, tmp_path / "loop.ckpt")
    assert file_role(tmp_path / "loop.ckpt") is Role.UNKNOWN


def test_one_part_of_several_is_named(tmp_path: Path) -> None:
    path = tmp_path / "diffusion_pytorch_model-00001-of-00002.safetensors"
    save_file({"conv_in.weight": torch.zeros(8, 4, 3, 3)}, path)
    assert file_role(path) is Role.SHARD
    whole = tmp_path / "model-00001-of-00001.safetensors"
    save_file({"conv_in.weight": torch.zeros(8, 4, 3, 3)}, whole)
    assert file_role(whole) is Role.IMAGE_UNET
