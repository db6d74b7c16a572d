"""Trainings that are cancelled, stopped and gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import comfy.model_management as management
import comfy.utils
import pytest
from motion_adapters.nodes.motion_files import load_motion
from motion_adapters.nodes.runs import training
from motion_adapters.nodes.runs.watch import run_registry
from motion_adapters.nodes.sockets import MotionBase

from motion_core.errors import SettingsError
from motion_core.types import Clip
from tests.comfyui.inside import trainings
from tests.comfyui.inside.trainings import (
    adapter_path,
    assert_equal_motions,
    going_on,
    in_step,
    runs_of,
    shown,
    trained,
)

# Fixtures.
_folders = trainings._folders
base = trainings.base
clips = trainings.clips
hook = trainings.hook
samplings = trainings.samplings


def test_a_saving_that_is_cancelled_is_done_in_the_same_file_later(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path, hook: Any, samplings: list[str]
) -> None:
    """Cancelled while the clip is inverted, then in the sample: neither leaves a second file, and
    what was done is not done again.
    """
    for doing in ("inverting", "sampling"):

        def cancel(value: int, total: int, doing: str = doing) -> None:
            if going_on()["doing"] == doing:
                management.interrupt_current_processing(True)

        hook(cancel)
        with pytest.raises(management.InterruptProcessingException):
            trained(base, clips, name="cut short", inversion_steps=3)
        run = shown(comfy_base, "cut-short")
        assert (run["state"], run["step"], run["can_resume"]) == ("cancelled", 4, True)
    comfy.utils.set_progress_bar_global_hook(None)
    noise = comfy_base / "models" / "motion_adapters" / "cut short.noise.safetensors"
    inverted = noise.stat().st_mtime_ns
    output = trained(base, clips, name="cut short", inversion_steps=3)
    assert output.args[1] == "cut short.safetensors" and len(output.args[3]["loss"]) == 4
    assert noise.stat().st_mtime_ns == inverted
    assert not adapter_path(comfy_base, "cut short-2").exists()


def test_cancel_keeps_the_run_and_continue_ends_it_the_same(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path, hook: Any
) -> None:
    whole = trained(base, clips, name="whole")

    def cancel_in_step_2(value: int, total: int) -> None:
        if in_step(2):
            management.interrupt_current_processing(True)

    hook(cancel_in_step_2)
    with pytest.raises(management.InterruptProcessingException):
        trained(base, clips, name="halved")
    assert not management.processing_interrupted()
    (run,) = runs_of(comfy_base, "halved")
    state = json.loads((run / "state.json").read_text())
    assert state["state"] == "cancelled" and 2 <= state["step"] <= 3
    assert run_registry().run(run.name)["state"] == "cancelled"
    assert not (comfy_base / "models" / "motion_adapters" / "halved.safetensors").exists()

    comfy.utils.set_progress_bar_global_hook(None)
    rest = trained(base, clips, name="halved")
    assert runs_of(comfy_base, "halved") == [run]
    assert_equal_motions(whole.args[0][0], rest.args[0][0])
    assert whole.args[3] == rest.args[3]


def test_cancel_while_sampling_keeps_the_run(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path, hook: Any
) -> None:
    def cancel_in_a_sample(value: int, total: int) -> None:
        if going_on()["doing"] == "sampling":
            management.interrupt_current_processing(True)

    hook(cancel_in_a_sample)
    with pytest.raises(management.InterruptProcessingException):
        trained(base, clips, name="cut-sample", sample_every=3)
    (run,) = runs_of(comfy_base, "cut-sample")
    state = json.loads((run / "state.json").read_text())
    assert (state["state"], state["step"]) == ("cancelled", 3)


def test_cancel_while_the_clips_are_encoded_keeps_the_run(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path
) -> None:
    """The pages have seen it by then; queued again, it is the same run."""
    management.interrupt_current_processing(True)
    with pytest.raises(management.InterruptProcessingException):
        trained(base, clips, name="early")
    (run,) = runs_of(comfy_base, "early")
    shown = run_registry().run(run.name)
    assert (shown["state"], shown["step"], shown["reference"]) == ("cancelled", 0, "reference.mp4")
    assert trained(base, clips, name="early").args[0][0].info.steps == 4
    assert runs_of(comfy_base, "early") == [run]


def test_stop_and_keep_returns_what_is_learned(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path, hook: Any
) -> None:
    def stop_after_step_2(value: int, total: int) -> None:
        if in_step(2):
            run_registry().ask(runs_of(comfy_base, "stopped")[0].name, "stop")

    hook(stop_after_step_2)
    output = trained(base, clips, name="stopped")
    assert output.args[0][0].info.steps < 4 and len(output.args[3]["loss"]) < 4
    comfy.utils.set_progress_bar_global_hook(None)
    reused = trained(base, clips, name="stopped", resume="reuse")
    assert_equal_motions(output.args[0][0], reused.args[0][0])
    whole = trained(base, clips, name="stopped")
    assert whole.args[0][0].info.steps == 4 and whole.args[1] == "stopped-2.safetensors"
    kept = load_motion(adapter_path(comfy_base, "stopped"), "stopped")
    assert_equal_motions(output.args[0][0], kept)
    assert shown(comfy_base, "stopped")["saved_as"] == [
        "stopped.safetensors",
        "stopped-2.safetensors",
    ]


def test_stop_before_the_first_step_leaves_no_file(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: Any, **kwargs: Any) -> Any:
        run_registry().ask(runs_of(comfy_base, "nothing")[0].name, "stop")
        return encode_clips(*args, **kwargs)

    encode_clips = training.encode_clips
    monkeypatch.setattr(training, "encode_clips", stopped)
    with pytest.raises(management.InterruptProcessingException):
        trained(base, clips, name="nothing")
    assert (shown(comfy_base, "nothing")["state"], shown(comfy_base, "nothing")["step"]) == (
        "cancelled",
        0,
    )
    assert not adapter_path(comfy_base, "nothing").exists()


def test_just_the_run_that_is_resumed_goes_on(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path, hook: Any
) -> None:
    """An older run, stopped and kept, of the same settings than a newer one."""

    def stop_after_step_2(value: int, total: int) -> None:
        if in_step(2):
            run_registry().ask(runs_of(comfy_base, "older")[0].name, "stop")

    hook(stop_after_step_2)
    trained(base, clips, name="older")
    comfy.utils.set_progress_bar_global_hook(None)
    trained(base, clips, name="older", resume="new")
    older, newer = runs_of(comfy_base, "older")
    resumed = trained(base, clips, name="older", resume_run=older.name)
    assert resumed.args[1] == "older-3.safetensors"
    assert run_registry().run(older.name)["step"] == 4
    assert run_registry().run(newer.name)["part"] == 1
    with pytest.raises(SettingsError, match="were different"):
        trained(base, clips, name="older", seed=1, resume_run=older.name)
    with pytest.raises(SettingsError, match="no longer exists"):
        trained(base, clips, name="older", resume_run="gone")
