"""`convert`: full weights to LoRAs, and files for other programs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from motion_core.adapter_files.lora_files import import_animatediff_lora
from motion_core.adapter_files.own import load_adapter, save_adapter
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.adapters.lora.keys import from_keys
from motion_core.adapters.weights.adapter import WeightsAdapter
from motion_core.backbones.base import Family
from motion_core.backbones.files.lora_names import PEFT_NAMES
from motion_core.cli.main import main
from tests.adapter_files.test_own import adapters, an_info

LAYERS = {
    "animatediff": "mid_block.motion_modules.0.transformer_blocks.0.attn1.to_q",
    "zeroscope": "mid_block.temp_attentions.0.transformer_blocks.0.attn1.to_q",
}


def full_weights(folder: Path, family: Family = "animatediff") -> Path:
    """diag(3, 4) in one layer and 0, 5 in its bias; beside it a spatial LoRA."""
    layer = LAYERS[family]
    deltas = {
        f"{layer}.weight": torch.tensor([[3.0, 0.0], [0.0, 4.0]]),
        f"{layer}.bias": torch.tensor([0.0, 5.0]),
    }
    weights = WeightsAdapter(scope="temporal", family=family, deltas=deltas)
    info = dataclasses.replace(
        an_info(family), parametrisation="full", rank=None, sites=("temporal.attn1",)
    )
    path = folder / "full.safetensors"
    looks = adapters(family)["spatial.0"]
    save_adapter(path, {"temporal": weights, "spatial.0": looks}, info, [b"a picture"])
    return path


def loras(folder: Path, family: Family = "animatediff") -> Path:
    path = folder / "loras.safetensors"
    save_adapter(path, adapters(family), an_info(family))
    return path


def test_full_weights_become_a_lora(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rank 1 keeps 16 of 9 + 16 + 25 = 50: 32 %. All else in the file stays."""
    path, output = full_weights(tmp_path), tmp_path / "lora.safetensors"
    assert main(["convert", str(path), "--rank", "1", "--output", str(output)]) == 0
    said = capsys.readouterr().out
    assert "temporal: rank 1 keeps 32.0% of the energy, in 1 layers" in said
    assert "1 parameters were left out, such as mid_block" in said
    info, converted = load_adapter(output)
    before, originals = load_adapter(path)
    assert (info.parametrisation, info.rank) == ("lora", 2)  # the spatial one's rank
    assert info.sites == ("spatial.attn1", "spatial.ff", "temporal.attn1")
    same = ("method", "settings", "version", "prompts", "steps", "reference_hash")
    assert all(getattr(info, name) == getattr(before, name) for name in same)
    temporal, looks = converted["temporal"], converted["spatial.0"]
    assert isinstance(temporal, LoraAdapter)
    pair = temporal.pairs[LAYERS["animatediff"]]
    torch.testing.assert_close(pair.up @ pair.down, torch.tensor([[0.0, 0.0], [0.0, 4.0]]))
    kept = originals["spatial.0"].state_dict()
    assert all(torch.equal(looks.state_dict()[name], tensor) for name, tensor in kept.items())


def test_a_motion_lora_of_animatediff(tmp_path: Path) -> None:
    """Of a LoRA exactly, and of full weights by way of one: at their full rank, exactly too."""
    for path, rank in ((loras(tmp_path), 32), (full_weights(tmp_path), 2)):
        output = tmp_path / "motion.safetensors"
        flags = ["--to", "animatediff", "--rank", str(rank), "--output", str(output)]
        assert main(["convert", str(path), *flags]) == 0
        exported = import_animatediff_lora(output)
        if path.name == "loras.safetensors":
            expected = adapters()["temporal"].pairs
            assert exported.pairs.keys() == expected.keys()
            assert all(torch.equal(exported.pairs[n].up, p.up) for n, p in expected.items())
        else:
            pair = exported.pairs[LAYERS["animatediff"]]
            torch.testing.assert_close(pair.up @ pair.down, torch.diag(torch.tensor([3.0, 4.0])))


def test_other_formats(tmp_path: Path) -> None:
    output = tmp_path / "x.safetensors"
    flags = ["--to", "diffusers", "--adapter", "spatial.1", "--output", str(output)]
    assert main(["convert", str(loras(tmp_path)), *flags]) == 0
    assert all(name.startswith("unet.") for name in load_file(output))
    flags = ["--to", "peft", "--output", str(output)]
    assert main(["convert", str(loras(tmp_path, "zeroscope")), *flags]) == 0
    exported, expected = (
        from_keys(load_file(output), PEFT_NAMES),
        adapters("zeroscope")["temporal"].pairs,
    )
    assert exported.keys() == expected.keys()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--rank", "0"], "--rank is 0"),
        (["--adapter", "temporal"], "--adapter chooses what to export"),
        (["--to", "animatediff", "--adapter", "spatial.0"], "spatial LoRA for animatediff"),
        (["--to", "peft", "--adapter", "motion"], "no adapter 'motion'. Set --adapter to one of"),
        (["--output", "x.ckpt"], "ending in .safetensors"),
        ([], "contains no full weights to convert"),
    ],
)
def test_what_cannot_be_converted(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "x.safetensors"
    assert main(["convert", str(loras(tmp_path)), "--output", str(output), *flags]) == 2
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_the_file_itself_is_never_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = full_weights(tmp_path)
    before = path.read_bytes()
    assert main(["convert", str(path), "--output", str(path)]) == 2
    assert "the file to convert" in capsys.readouterr().err
    assert path.read_bytes() == before
