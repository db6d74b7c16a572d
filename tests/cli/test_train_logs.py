"""`train --log-to`: the log beside the run, and what is refused before any work."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from motion_core.cli.main import main
from tests.cli.conftest import Material


def test_a_log_that_cannot_be_is_refused_before_any_work(
    material: Material,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: None)
    assert main(material.train(tmp_path / "run", "--log-to", "tensorboard")) == 2
    told = capsys.readouterr().err
    assert "log_to is 'tensorboard', but tensorboard is not installed" in told
    assert not (tmp_path / "run").exists()
    assert main(material.train(tmp_path / "run", "--log-to", "mlflow")) == 2


def test_tensorboard_has_the_losses_of_a_training(material: Material, tmp_path: Path) -> None:
    """The files themselves, of two steps; the first has both of the method's losses."""
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = tmp_path / "run"
    assert main(material.train(run, "--log-to", "tensorboard")) == 0
    told = reading.EventAccumulator(str(run / "tensorboard")).Reload()
    assert any(tag.startswith("loss/") for tag in told.Tags()["scalars"])
    for tag in ("learning_rate", "grad_norm", "memory_gib", "seconds_per_step"):
        assert [scalar.step for scalar in told.Scalars(tag)] == [1, 2]
