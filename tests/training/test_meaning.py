"""Descriptions of runs that mean the same, and what version 0.1.0 left to the method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from motion_core.errors import TrainingError
from motion_core.events import CancelRun, Event, StepDone
from motion_core.methods import METHODS
from motion_core.methods.base import Method
from motion_core.methods.defaults import Material
from motion_core.methods.motion_director import MotionDirector, MotionDirectorSettings
from motion_core.methods.motion_inversion import MotionInversion, MotionInversionSettings
from motion_core.training.meaning import written_out
from motion_core.training.settings import TrainSettings
from motion_core.training.trainer import describe, train
from tests.runs import latent_clip
from tests.tiny import tiny_animatediff

ONE, TWO = Material(videos=1, images=0), Material(videos=2, images=0)
SHORT: Mapping[str, Any] = {"steps": 2, "save_every": 1, "checkpointing": False}


def meant(method: str, material: Material, objective: Any, training: Any) -> Mapping[str, Any]:
    description = {"objective": {"name": method, "settings": objective}, "training": training}
    return written_out(description, METHODS[method], material)


def test_what_the_method_decided_then_is_written_out() -> None:
    """As 0.1.0 recorded it: no rate, no decay, no alpha; the decay is that of so many videos."""
    nothing = {"learning_rate": None, "weight_decay": None}
    for material, decay in ((ONE, 1e-2), (TWO, 1e-4)):
        found = meant("motion_director", material, {"rank": 4, "alpha": None}, nothing)
        assert found["training"] == {"learning_rate": 5e-4, "weight_decay": decay}
        assert found["objective"]["settings"]["alpha"] == 4.0


def test_the_appearance_of_motion_inversion_had_the_trainings_rate() -> None:
    for rate, expected in ((None, 5e-4), (0.003, 0.003)):
        found = meant("motion_inversion", ONE, {}, {"learning_rate": rate})
        assert found["objective"]["settings"]["spatial_learning_rate"] == expected


def test_what_came_later_is_left_out_where_it_changes_nothing() -> None:
    """So that a run of 0.1.0 has the description that it had, and its folder that name."""

    def described(settings: MotionInversionSettings) -> Mapping[str, Any]:
        method = MotionInversion(settings)
        found = describe(tiny_animatediff(), ["a"], method, TrainSettings())
        return found["objective"]["settings"]

    assert "spatial_learning_rate" not in described(MotionInversionSettings())
    asked = described(MotionInversionSettings(spatial_learning_rate=5e-4))
    assert asked["spatial_learning_rate"] == 5e-4
    assert asked.keys() - described(MotionInversionSettings()).keys() == {"spatial_learning_rate"}


def test_of_the_training_too() -> None:
    def described(settings: TrainSettings) -> Mapping[str, Any]:
        return describe(tiny_animatediff(), ["a"], MotionInversion(), settings)["training"]

    assert "base_preservation" not in described(TrainSettings())
    asked = described(TrainSettings(base_preservation=0.05))
    assert asked["base_preservation"] == 0.05
    assert asked.keys() - described(TrainSettings()).keys() == {"base_preservation"}


def test_another_methods_or_an_unknown_description_is_left_alone() -> None:
    for description in (
        {"objective": {"name": "vmc", "settings": {}}, "training": {"learning_rate": None}},
        {"objective": {"name": "coupled", "settings": {"odd": 1}}, "training": {}},
        {},
    ):
        assert written_out(description, METHODS["coupled"], ONE) == description


def ends(method: Method, settings: TrainSettings, folder: Path, stop_after: int = 0) -> list[Any]:
    """Every trained number, or none of a run that was cancelled."""

    def sink(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == stop_after:
            raise CancelRun

    try:
        result = train(tiny_animatediff(), [latent_clip(3, 0)], method, settings, folder, sink)
    except CancelRun:
        return []
    return [t for a in result.adapters.values() for t in a.state_dict().values()]


@pytest.mark.parametrize(
    ("method", "then", "now", "rate"),
    [
        (
            MotionDirector,
            MotionDirectorSettings(rank=2),
            MotionDirectorSettings(rank=2, alpha=2.0),
            5e-4,
        ),
        (
            MotionInversion,
            MotionInversionSettings(loss="debiased_hybrid", rank=2),
            MotionInversionSettings(loss="debiased_hybrid", rank=2, spatial_learning_rate=5e-4),
            0.02,
        ),
    ],
)
def test_a_run_that_left_its_rate_to_the_method_goes_on_with_it_written_out(
    method: type[Method], then: Any, now: Any, rate: float, tmp_path: Path
) -> None:
    """Bit for bit; with another rate it is another run."""
    old = TrainSettings(**SHORT)
    new = TrainSettings(**SHORT, learning_rate=rate, weight_decay=1e-2)
    undisturbed = ends(method(then), old, tmp_path / "undisturbed")
    assert ends(method(then), old, tmp_path / "run", stop_after=1) == []
    other = TrainSettings(**SHORT, learning_rate=2 * rate, weight_decay=1e-2)
    with pytest.raises(TrainingError, match=f"training.learning_rate was {rate}"):
        ends(method(now), other, tmp_path / "run")
    resumed = ends(method(now), new, tmp_path / "run")
    assert all(torch.equal(a, b) for a, b in zip(resumed, undisturbed, strict=True))


def test_the_appearance_of_motion_inversion_keeps_its_own_rate(tmp_path: Path) -> None:
    """AdamW's first step is as long as the rate: the largest change of the LoRA's B, which begins
    at 0.
    """
    settings = TrainSettings(steps=1, learning_rate=0.25, checkpointing=False)
    for rate, expected in ((0.125, 0.125), (None, 0.25)):
        method = MotionInversion(
            MotionInversionSettings(
                loss="debiased_hybrid", rank=2, spatial_dropout_p=0.0, spatial_learning_rate=rate
            )
        )
        folder = tmp_path / str(rate)
        clips = [latent_clip(3, 0)]
        adapters = train(tiny_animatediff(), clips, method, settings, folder).adapters
        ups = [pair.up.abs().max() for pair in adapters["spatial.0"].pairs.values()]  # type: ignore[attr-defined]
        assert max(ups) == pytest.approx(expected, rel=1e-3)
