"""`merge`: one file of several."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motion_core.adapter_files.own import load_adapter, save_adapter
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.cli.main import main
from tests.adapter_files.test_own import adapters, an_info


def test_two_files_become_one_at_their_strengths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same LoRA at 0.5 and −2, and nothing of its looks: −1.5 · up @ down."""
    one, output = tmp_path / "one.safetensors", tmp_path / "both.safetensors"
    save_adapter(one, adapters(), an_info())
    files = [f"{one}:0.5", f"{one}:-2"]
    assert main(["merge", *files, "--output", str(output)]) == 0
    assert str(output) in capsys.readouterr().out
    info, made = load_adapter(output)
    assert info.settings["objective"] == {"of": "one.safetensors at 0.5 + one.safetensors at -2"}
    assert list(made) == ["temporal"]
    before = adapters()["temporal"]
    assert isinstance(made["temporal"], LoraAdapter)
    assert made["temporal"].pairs.keys() == before.pairs.keys()
    for layer, pair in made["temporal"].pairs.items():
        expected = -1.5 * before.pairs[layer].up @ before.pairs[layer].down
        torch.testing.assert_close(pair.up @ pair.down, expected)


def test_what_goes_wrong_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, output = tmp_path / "one.safetensors", tmp_path / "both.safetensors"
    save_adapter(one, adapters(), an_info())
    for argv, expected in (
        (["merge", f"{one}:0", "--output", str(output)], "every strength is 0"),
        (["merge", str(one), "--output", str(tmp_path / "x.pt")], "ending in .safetensors"),
        (["merge", str(tmp_path / "no.safetensors"), "--output", str(output)], "no.safetensors"),
    ):
        assert main(argv) == 2
        assert expected in capsys.readouterr().err
        assert not output.exists()
