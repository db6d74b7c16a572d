"""Methods by name on the command line, and what a sample of each applies; the official
MotionDirector's files.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from motion_core.adapter_files.official_motion_director import zeroscope_layout
from motion_core.adapter_files.own import load_adapter
from motion_core.cli.main import main
from motion_core.cli.sample_run import chosen_adapters, read_adapter
from tests.adapter_files.test_official_motion_director import official_layers
from tests.cli.conftest import Material
from tests.cli.test_errors import refused


@pytest.fixture(scope="session")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporal list of rank 1 for the full ZeroScope, all zeros."""
    path = tmp_path_factory.mktemp("official") / "150_unet.pt"
    tensors = []
    for _, linear in official_layers(zeroscope_layout(), "TransformerTemporalModel"):
        tensors += [torch.zeros(linear.out_features, 1), torch.zeros(1, linear.in_features)]
    torch.save(tensors, path)
    return path


def test_a_coupled_run_shows_both_of_its_halves(material: Material, tmp_path: Path) -> None:
    """As every sample does, also a file's that is given to `sample`, where motion-director's
    applies its motion alone. Its looks need not be asked for, and may be.
    """
    output = tmp_path / "run"
    assert main(material.train(output, "--objective", "coupled", steps=1)) == 0
    info = load_adapter(output / "adapter.safetensors")[0]
    assert (info.method, info.rank) == ("coupled", 2)
    assert info.shown == ("temporal", "spatial")
    file = read_adapter(f"{output / 'adapter.safetensors'}:0.5")
    both = [(file.adapters["temporal"], 0.5), (file.adapters["spatial"], 0.5)]
    assert chosen_adapters([file], with_looks=False, looks=None) == both
    assert chosen_adapters([file], with_looks=True, looks="spatial") == both


def test_another_run_shows_its_motion(finished: Path) -> None:
    assert load_adapter(finished / "adapter.safetensors")[0].shown == ("temporal",)


def test_settings_of_a_method_from_a_file_and_from_flags(
    material: Material, tmp_path: Path
) -> None:
    """Flags win; the file's method decides which flags there are."""
    config, output = tmp_path / "run.toml", tmp_path / "run"
    config.write_text('[objective]\nname = "vmc"\nloss = "cosine_abs"\nparametrisation = "lora"')
    argv = material.train(output, "--config", str(config), "--loss", "mse", steps=1)
    assert main(argv) == 0
    method = json.loads((output / "adapter.json").read_text())["objective"]
    assert method == {"name": "vmc", "loss": "mse", "parametrisation": "lora", "rank": 2}
    assert list(load_adapter(output / "adapter.safetensors")[0].adapters) == ["temporal"]


def test_a_resumed_run_knows_its_method(
    material: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    assert main(material.train(output, "--objective", "vmc", "--loss", "mse", steps=1)) == 0
    again = ["train", "--resume", "--output", str(output), "--steps", "2"]
    capsys.readouterr()
    said = refused([*again, "--dropout", "0.5"], capsys)
    assert "--dropout is a setting of" in said
    assert "not of vmc" in said
    assert main([*again, "--loss", "mse"]) == 0
    assert load_adapter(output / "adapter.safetensors")[0].steps == 2


def test_inspect_names_a_file_of_the_official_motion_director(
    official: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(official)]) == 0
    said = capsys.readouterr().out
    assert (
        "150_unet.pt: a LoRA stored as a list without names, as the official MotionDirector" in said
    )
    assert "temporal    temporal lora" in said
    assert main(["inspect", str(official), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["role"], facts["tensors"]) == ("positional_lora", 340)
    assert facts["loras"]["temporal"]["parameters"] == facts["parameters"]


def test_a_file_of_the_official_motion_director_is_an_adapter_of_zeroscope(
    material: Material,
    official: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The bases here are tiny: neither fits, and each says why in one line."""
    file = read_adapter(f"{official}:0.5")
    assert (file.info.family, file.strength) == ("zeroscope", 0.5)
    assert file.info.reference_hash == ""
    assert chosen_adapters([file], with_looks=False, looks=None) == [
        (file.adapters["temporal"], 0.5)
    ]
    flags = ["--adapter", str(official), "--prompt", "a cross", "--output", str(tmp_path / "a.mp4")]
    said = refused(["sample", *material.animatediff, *flags], capsys)
    assert "150_unet.pt was trained on zeroscope" in said
    small = "--width 32 --height 32 --num-frames 4 --steps 1 --device cpu".split()
    said = refused(["sample", *material.zeroscope, *flags, *small], capsys)
    assert "parameters to adapt are not in this base" in said
