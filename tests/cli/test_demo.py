"""The demo's folder; what it shows is measured by `make demo` itself."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    assert "animatediff holds something else than an earlier demo's run" in said
    assert mine.exists()
