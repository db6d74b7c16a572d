"""MoTrans from the command line on a shape world base: trained, read back, played with an image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from motion_core.adapter_files.own import load_adapter
from motion_core.adapters.injector import InjectorAdapter
from motion_core.bases import load_base
from motion_core.cli.injected_image import with_image
from motion_core.cli.main import main
from motion_core.shape_world.clip_model import image_encoder
from motion_core.shape_world.references import DEMO_CLIP

PROMPT = "a red circle zigzagging on a checkered background"
BASE = ["--base", "shape-world-zeroscope", "--device", "cpu"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of looks under a recaption from a file, one of motion."""
    folder = tmp_path_factory.mktemp("motrans")
    config = folder / "run.toml"
    config.write_text(
        f"""
        base = "shape-world-zeroscope"
        clips = ["{DEMO_CLIP.as_posix()}"]
        prompts = ["{PROMPT}"]
        sample_steps = 2
        inversion_steps = 0
        [clip]
        frames = 4
        [train]
        steps = 3
        noise_draws = 1
        [objective]
        name = "motrans"
        rank = 2
        recaptions = ["a small red circle on a checkered background"]
        """,
        encoding="utf-8",
    )
    flags = ["--appearance-steps", "2", "--device", "cpu", "--output", str(folder / "run")]
    assert main(["train", "--config", str(config), *flags]) == 0
    return folder / "run"


def test_a_run_leaves_all_parts(run: Path) -> None:
    info, adapters = load_adapter(run / "adapter.safetensors")
    assert info.method == "motrans" and info.shown == ("temporal", "injector", "verb")
    assert set(adapters) == {"spatial.0", "temporal", "verb", "injector"}
    assert adapters["verb"].options["verb"] == "zigzagging"
    losses = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["losses"]
    assert set(losses) == {"spatial", "temporal"}


def test_an_image_goes_into_the_injector_and_nothing_else(run: Path, tmp_path: Path) -> None:
    """A picture of one colour, of the encoder's size: its embedding is that of the same pixels."""
    Image.new("RGB", (64, 64), (255, 0, 0)).save(tmp_path / "red.png")
    _, adapters = load_adapter(run / "adapter.safetensors")
    pairs = [(adapters[name], 0.5) for name in ("temporal", "injector")]
    base = load_base("shape-world-zeroscope")
    (temporal, _), (injector, strength) = with_image(pairs, tmp_path / "red.png", None, base)
    assert temporal is adapters["temporal"] and strength == 0.5
    assert isinstance(injector, InjectorAdapter) and injector.image_embeds is not None
    red = torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    torch.testing.assert_close(injector.image_embeds, image_encoder().embed(red))


def test_sample_takes_an_image_for_the_injector(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (64, 64), (255, 0, 0)).save(tmp_path / "red.png")
    image, output = str(tmp_path / "red.png"), tmp_path / "out.png"
    adapter = ["--adapter", str(run / "adapter.safetensors")]
    what = ["--prompt", "a blue square zigzagging on a grey background", "--output", str(output)]
    sample = ["sample", *BASE, *what, "--steps", "2", "--num-frames", "4"]
    assert main([*sample, *adapter, "--inject-image", image]) == 0
    assert output.is_file()
    assert main([*sample, "--inject-image", image]) != 0
    assert "No adapter can inject red.png" in capsys.readouterr().err
