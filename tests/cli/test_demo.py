"""The demo at its smallest, and its folder; how good it is is measured by `make demo` itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from motion_core.cli.demo_run import SUBJECTS, DemoSize, run_demo
from motion_core.cli.main import main


def test_folders_of_yours_are_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ComfyUI models folder may well have one of that name."""
    mine = tmp_path / "animatediff" / "checkpoints" / "mm.ckpt"
    mine.parent.mkdir(parents=True)
    mine.touch()
    assert main(["demo", "--output", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert "animatediff contains something other than an earlier demo run" in said
    assert mine.exists()


def test_the_smallest_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One subject, one seed, one step of everything (an inversion has two)."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    size = DemoSize(
        subjects=SUBJECTS[:1], seeds=(1,), train_steps=1, sample_steps=1, inversion_steps=2
    )
    run_demo(tmp_path, 0, size)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    titles = {"animatediff", "zeroscope", "personalised"}
    assert set(metrics) == {*titles, "prompts", "seconds"}
    for title in titles:
        for row in ("base", "adapted"):
            wanted = {"motion_fidelity", "appearance_accuracy", "leakage"}
            assert wanted <= set(metrics[title][row])
        assert all((tmp_path / f"{title}{kind}").is_file() for kind in (".png", ".mp4", ".gif"))
    assert metrics["prompts"] == ["a blue square zigzagging on a white background"]
    assert metrics["seconds"] > 0
    assert "1 prompts x 1 seeds" in capsys.readouterr().out
