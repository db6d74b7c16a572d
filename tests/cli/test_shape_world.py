"""The shipped bases by their names, with everything else left to its default."""

from __future__ import annotations

from pathlib import Path

import pytest

from motion_core.adapter_files.own import load_adapter
from motion_core.cli.main import main
from motion_core.shape_world.references import DEMO_CLIP

SHORT = "--steps 1 --noise-draws 1 --rank 1 --sample-steps 1 --inversion-steps 2 --device cpu"


@pytest.mark.parametrize("base", ["shape-world-animatediff", "shape-world-zeroscope"])
def test_train_and_sample(base: str, tmp_path: Path) -> None:
    """The clip has its caption beside it."""
    train = ["train", "--base", base, "--clip", str(DEMO_CLIP), "--output", str(tmp_path / "run")]
    assert main([*train, *SHORT.split()]) == 0
    adapter = tmp_path / "run" / "adapter.safetensors"
    info = load_adapter(adapter)[0]
    assert (info.version, info.frames, info.width, info.fps) == (base, 16, 64, 8.0)
    sample = ["sample", "--base", base, "--adapter", str(adapter), "--steps", "1"]
    output = ["--prompt", "a blue square", "--output", str(tmp_path / "a.mp4"), "--device", "cpu"]
    assert main([*sample, *output]) == 0


def test_the_personalised_checkpoint(tmp_path: Path) -> None:
    """Another image UNet makes other frames of the same noise."""
    frames = []
    for name, more in (("base", []), ("own", ["--checkpoint", "shape-world-personalised"])):
        flags = ["--base", "shape-world-animatediff", *more, "--steps", "2", "--device", "cpu"]
        output = ["--output", str(tmp_path / f"{name}.mp4"), "--frames", str(tmp_path / name)]
        assert main(["sample", *flags, "--prompt", "a blue square", *output]) == 0
        frames.append((tmp_path / name / "00000.png").read_bytes())
    assert frames[0] != frames[1]
