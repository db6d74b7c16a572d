"""Logging to other programs: what they are told, and that a training never fails for them."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from motion_core.errors import SettingsError
from motion_core.events import Event, Finished, Started, StepDone
from motion_core.training.trackers import TrackerSettings, TrackerSink, check_tracker, tracked

STEP = StepDone(
    step=3,
    total=10,
    losses={"temporal": 0.5, "spatial": 0.25},
    learning_rate=1e-3,
    grad_norm=2.0,
    seconds=1.5,
    memory_bytes=3 * 2**30,
)
STARTED = Started(step=0, total=10, resumed=False, settings={"steps": 10, "weight_decay": None})


@pytest.fixture
def uninstalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where nobody has installed a tracker."""
    found = importlib.util.find_spec

    def none(wanted: str, package: str | None = None) -> Any:
        return None if wanted in ("tensorboard", "tensorboardX", "wandb") else found(wanted)

    monkeypatch.setattr(importlib.util, "find_spec", none)


class Recorder:
    """Keeps what it is told. failing: in which call it fails."""

    def __init__(self, failing: str = "") -> None:
        self.calls: list[tuple[str, Any]] = []
        self.failing = failing

    def _told(self, name: str, what: Any) -> None:
        if name == self.failing:
            raise OSError("no network")
        self.calls.append((name, what))

    def store_init_configuration(self, values: dict) -> None:
        self._told("settings", values)

    def log(self, values: dict, step: int | None = None) -> None:
        self._told("log", (step, values))

    def finish(self) -> None:
        self._told("finish", None)


def test_a_tracker_is_told_settings_and_steps() -> None:
    """3 GiB of memory; settings without the one that is None; ends are not its matter."""
    recorder = Recorder()
    sink = TrackerSink(recorder)
    events: list[Event] = [STARTED, STEP, Finished(step=10)]
    for event in events:
        assert sink(event) is None
    sink.finish()
    sink.finish()
    assert recorder.calls == [
        ("settings", {"steps": 10}),
        (
            "log",
            (
                3,
                {
                    "loss/temporal": 0.5,
                    "loss/spatial": 0.25,
                    "learning_rate": 1e-3,
                    "grad_norm": 2.0,
                    "seconds_per_step": 1.5,
                    "memory_gib": 3.0,
                },
            ),
        ),
        ("finish", None),
    ]


@pytest.mark.parametrize("failing", ["settings", "log"])
def test_a_failing_tracker_is_left(failing: str, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(failing)
    sink = TrackerSink(recorder)
    with caplog.at_level(logging.WARNING):
        for event in (STARTED, STEP, STEP):
            sink(event)
    assert caplog.text.count("Logging stopped") == 1 and "no network" in caplog.text
    assert [name for name, _ in recorder.calls if name == "finish"] == ["finish"]


def test_an_end_that_fails_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    TrackerSink(Recorder("finish")).finish()
    assert "may not be complete: no network" in caplog.text


def test_nothing_is_logged_by_default(tmp_path: Path) -> None:
    assert TrackerSettings().log_to == "none"
    with tracked("none", tmp_path / "run", "run") as sink:
        sink(STARTED)
        sink(STEP)
    assert list(tmp_path.iterdir()) == []
    assert "accelerate.tracking" not in sys.modules or sink.tracker is None


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_one_that_is_not_installed_is_refused(name: str, tmp_path: Path, uninstalled: None) -> None:
    with pytest.raises(SettingsError, match=rf"python -m pip install {name}"):
        check_tracker(name)
    with pytest.raises(SettingsError), tracked(name, tmp_path / "run", "run"):
        pass
    assert list(tmp_path.iterdir()) == []


# In a process of its own, as wandb reads its environment once.
WANDB_RUN = """
import sys
from pathlib import Path
from motion_core.training.trackers import tracked
from tests.training.test_trackers import STARTED, STEP

with tracked("wandb", Path(sys.argv[1]), "a run") as sink:
    sink(STARTED)
    sink(STEP)
"""


def wandb_run(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """A short log in the folder, by somebody who has no account."""
    pytest.importorskip("wandb")
    others = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    return subprocess.run(
        [sys.executable, "-c", WANDB_RUN, str(folder)],
        cwd=Path(__file__).parents[2],
        env={**others, "HOME": str(folder), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_wandb_without_a_login_is_refused(tmp_path: Path) -> None:
    done = wandb_run(tmp_path)
    assert done.returncode == 1
    assert "SettingsError: log_to is 'wandb', but nobody is logged in" in done.stderr


def test_wandb_offline_keeps_its_files(tmp_path: Path) -> None:
    done = wandb_run(tmp_path, WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*.wandb"))
