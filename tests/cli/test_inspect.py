"""What `inspect` says about the files that people have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from motion_core.cli.main import main
from tests.cli.conftest import FRAMES, PROMPT, SIZE, Material


def test_an_adapter(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(finished / "adapter.safetensors")]) == 0
    said = capsys.readouterr().out
    for expected in (
        "a motion adapter from this package; apply it as an adapter to a base",
        "method      motion_director (lora, rank 2), 4 steps",
        "\n  settings    ",
        "rank 2, ",
        "\n  sampling    noise_prior 0.5\n",
        "animatediff-sd15-v2 (animatediff), licence test",
        f"{SIZE}x{SIZE}, {FRAMES} frames at 8 fps",
        PROMPT,
        "spatial.0   spatial lora",
        "temporal    temporal lora",
        "format 1, 4 previews",
    ):
        assert expected in said


def test_an_adapter_as_json(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(finished / "adapter.safetensors"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["role"] == "own_adapter"
    assert facts["adapter"]["method"] == "motion_director"
    entries = facts["adapter"]["adapters"]
    assert sum(entry["parameters"] for entry in entries.values()) == facts["parameters"]


def test_inverted_noise(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """32 pixels are 4 latent cells, of 4 channels."""
    assert main(["inspect", str(finished / "adapter.noise.safetensors")]) == 0
    said = capsys.readouterr().out
    assert "the inverted noise of a reference clip" in said
    assert f"latents [1, 4, {FRAMES}, 4, 4]" in said


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("image", "sd15_checkpoint"),
        ("motion", "motion_module_v2"),
        ("video", "modelscope_unet"),
    ],
)
def test_model_files(
    material: Material, name: str, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(material.folder / f"{name}.safetensors"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["role"] == role
