"""What inspect says of a file is what its reader does with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from motion_core.adapter_files.inspection import file_lines, inspect_file
from motion_core.adapter_files.reading import read_any_adapter
from motion_core.backbones.animatediff import load_animatediff
from motion_core.backbones.files.tensors import open_tensors
from motion_core.errors import FormatError
from tests.adapter_files.test_own import adapters
from tests.base_files import save_checkpoint, save_motion_module
from tests.known_files import KNOWN_FILES
from tests.lora_names import NAMINGS, named
from tests.tiny import tiny_animatediff


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, backbone = tmp_path_factory.mktemp("base"), tiny_animatediff()
    save_checkpoint(backbone, path / "image.safetensors")
    save_motion_module(backbone, path / "motion.safetensors")
    return path


def refusal(read: Callable[[], object]) -> str | None:
    try:
        read()
    except FormatError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", KNOWN_FILES)
def test_adapters_are_read_or_refused_alike(name: str, tmp_path: Path) -> None:
    """Of the tiny files with real names: those that belong to an adapter are read by `sample`, and
    those that do not are refused with what inspect calls them.
    """
    known, path = KNOWN_FILES[name], tmp_path / "x.safetensors"
    save_file({k: torch.zeros(tuple(s)) for k, s in known.shapes.items()}, path, known.metadata)
    facts = inspect_file(path)
    said = refusal(lambda: read_any_adapter(path))
    if "loras" in facts:
        assert said is None
        assert str(facts["where"]).startswith("apply it as an adapter")
    else:
        assert said is not None
        assert str(facts["what"]) in said or facts.get("problem") == said


@pytest.mark.parametrize("naming", NAMINGS)
def test_every_naming_of_a_motion_lora(naming: str, tmp_path: Path) -> None:
    temporal, path = adapters()["temporal"], tmp_path / "x.safetensors"
    tensors = named(temporal, naming)
    save_file({k: t.contiguous() for k, t in tensors.items()}, path)
    facts = inspect_file(path)
    report = facts["lora"]
    assert (facts["role"], facts["where"]) == (
        "motion_lora",
        "apply it as an adapter to an AnimateDiff base",
    )
    assert isinstance(report, dict)
    assert report["matched"] == report["keys"] == len(tensors)
    assert "problem" not in facts
    # diffusers cannot load AnimateDiff's names, nor AnimateDiff-Evolved any others.
    evolved = naming in ("AnimateDiff", "MotionDirector trainers")
    assert report["programs"]["AnimateDiff-Evolved"] == (len(tensors) if evolved else 0)
    assert report["programs"]["diffusers"] == (len(tensors) if "unet." in min(tensors) else 0)


def changed(base: Path, part: str, folder: Path, key: str, tensor: torch.Tensor | None) -> Path:
    """One tensor of a part of the base replaced, or left out."""
    source = base / f"{part}.safetensors"
    tensors = load_file(source)
    del tensors[key]
    if tensor is not None:
        tensors[key] = tensor
    path = folder / f"{part}.safetensors"
    save_file(tensors, path, dict(open_tensors(source).metadata))
    return path


_Q = "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0."
DAMAGES = {
    "a motion module without a tensor": ("motion", f"{_Q}to_q.weight", None),
    "a motion module of another size": ("motion", f"{_Q}to_q.weight", torch.zeros(8, 9)),
    "a quantised motion module": ("motion", f"{_Q}to_q.weight", torch.zeros(8, 8).to(torch.int8)),
    "a checkpoint without a tensor": ("image", "model.diffusion_model.out.2.bias", None),
    "a checkpoint of another size": ("image", "model.diffusion_model.out.2.bias", torch.zeros(5)),
    "a VAE of another size": (
        "image",
        "first_stage_model.decoder.conv_out.bias",
        torch.zeros(4),
    ),
    "a text encoder without a tensor": (
        "image",
        "cond_stage_model.transformer.text_model.final_layer_norm.bias",
        None,
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_parts_of_a_base_have_the_problem_that_loading_has(
    damage: str, base: Path, tmp_path: Path
) -> None:
    part, key, tensor = DAMAGES[damage]
    path = changed(base, part, tmp_path, key, tensor)
    files = {"image": base / "image.safetensors", "motion": base / "motion.safetensors", part: path}
    said = refusal(lambda: load_animatediff(files["image"], files["motion"]))
    facts = inspect_file(path)
    assert said is not None
    assert facts["problem"] == said
    assert f"  PROBLEM     {said}" in file_lines(facts)


def test_whole_parts_have_no_problem(base: Path) -> None:
    for part in ("image", "motion"):
        assert "problem" not in inspect_file(base / f"{part}.safetensors")


def test_parts_that_are_not_used_are_said(
    base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """PIA's first convolution: inspect lists it, loading warns of it."""
    tensors = load_file(base / "motion.safetensors")
    tensors["conv_in.weight"] = torch.zeros(8, 9, 3, 3)
    path = tmp_path / "pia.safetensors"
    save_file(tensors, path, dict(open_tensors(base / "motion.safetensors").metadata))
    facts = inspect_file(path)
    assert facts["role"] == "pia"
    assert "1 tensors beside the motion modules: conv_in.weight" in "\n".join(file_lines(facts))
    load_animatediff(base / "image.safetensors", path)
    assert "pia.safetensors: only its motion modules are used. 1 other tensors" in caplog.text


def test_inspecting_changes_nothing(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes((base / "motion.safetensors").read_bytes())
    before = path.read_bytes(), path.stat().st_mtime_ns
    inspect_file(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
