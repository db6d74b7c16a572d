"""Which run folder a training gets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from motion_adapters.nodes.runs.choice import (
    Resume,
    RunChoice,
    adapter_file,
    choose_run,
    fingerprint,
    note_saved,
    run_to_resume,
)

from motion_core.errors import SettingsError

ONE: dict[str, Any] = {"clips": {"0": "abc"}, "training": {"seed": 0}}
OTHER: dict[str, Any] = {"clips": {"0": "abc"}, "training": {"seed": 1}}


def a_run(
    root: Path, description: dict[str, Any], *, state: str, step: int, name: str = "car"
) -> Path:
    """A run as the trainer leaves it, with its adapter if it is finished."""
    folder = choose_run(root, name, description, step, "new").folder
    (folder / "checkpoints" / f"step-{step}").mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps(description))
    (folder / "state.json").write_text(json.dumps({"state": state, "step": step, "total": 9}))
    if state == "finished":
        adapter = root.parent / f"{folder.name}.safetensors"
        adapter.touch()
        note_saved(folder, adapter, step, whole=True)
    return folder


def chosen(root: Path, description: dict[str, Any], steps: int, resume: Resume) -> RunChoice:
    return choose_run(root, "car", description, steps, resume)


def test_a_first_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    for resume in ("continue", "new", "reuse"):
        choice = chosen(tmp_path / "runs", ONE, 9, resume)  # type: ignore[arg-type]
        assert choice == RunChoice(folder=tmp_path / "runs" / f"car-{fingerprint(ONE)[:8]}")


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    run = a_run(tmp_path / "runs", ONE, state="cancelled", step=4)
    assert chosen(tmp_path / "runs", ONE, 9, "continue") == RunChoice(folder=run)
    assert chosen(tmp_path / "runs", ONE, 9, "reuse") == RunChoice(folder=run)
    assert chosen(tmp_path / "runs", ONE, 9, "new").folder == run.with_name(f"{run.name}-2")


def test_a_finished_run_is_reused(tmp_path: Path) -> None:
    run = a_run(tmp_path / "runs", ONE, state="finished", step=9)
    adapter = tmp_path / f"{run.name}.safetensors"
    done = RunChoice(folder=run, adapter=adapter, steps=9)
    assert chosen(tmp_path / "runs", ONE, 9, "continue") == done
    record = json.dumps({"adapter": str(adapter), "steps": 9})  # as older versions wrote it
    (run / "saved.json").write_text(record)
    assert chosen(tmp_path / "runs", ONE, 9, "continue") == done
    adapter.unlink()  # then its last checkpoint makes the file again
    assert chosen(tmp_path / "runs", ONE, 9, "continue") == RunChoice(folder=run)


def test_a_run_that_was_stopped_early(tmp_path: Path) -> None:
    """It goes on, but is reused where that is asked for."""
    run = a_run(tmp_path / "runs", ONE, state="finished", step=4)
    assert chosen(tmp_path / "runs", ONE, 9, "continue").adapter is None
    assert chosen(tmp_path / "runs", ONE, 9, "continue").folder == run
    assert chosen(tmp_path / "runs", ONE, 9, "reuse").adapter is not None


def test_a_run_that_went_further_does_not_serve(tmp_path: Path) -> None:
    run = a_run(tmp_path / "runs", ONE, state="cancelled", step=8)
    assert chosen(tmp_path / "runs", ONE, 5, "continue").folder != run


def test_the_newest_of_several_runs(tmp_path: Path) -> None:
    runs = [a_run(tmp_path / "runs", ONE, state="finished", step=9) for _ in range(11)]
    assert [run.name.removeprefix(runs[0].name) for run in runs[1:3]] == ["-2", "-3"]
    assert chosen(tmp_path / "runs", ONE, 9, "continue").folder == runs[-1]


def test_other_settings_or_another_name_are_another_run(tmp_path: Path) -> None:
    run = a_run(tmp_path / "runs", ONE, state="cancelled", step=4)
    assert chosen(tmp_path / "runs", OTHER, 9, "continue").folder != run
    assert choose_run(tmp_path / "runs", "bus", ONE, 9, "continue").folder != run


def test_a_hash_alone_is_not_trusted(tmp_path: Path) -> None:
    run = a_run(tmp_path / "runs", ONE, state="cancelled", step=4)
    (run / "settings.json").write_text(json.dumps(OTHER))
    assert chosen(tmp_path / "runs", ONE, 9, "continue").folder == run.with_name(f"{run.name}-2")


@pytest.mark.parametrize("damage", ["", "[]", "{"])
def test_damaged_records_serve_no_one(tmp_path: Path, damage: str) -> None:
    run = a_run(tmp_path / "runs", ONE, state="finished", step=9)
    (run / "saved.json").write_text(damage)
    assert chosen(tmp_path / "runs", ONE, 9, "continue") == RunChoice(folder=run)
    (run / "settings.json").write_text(damage)
    assert chosen(tmp_path / "runs", ONE, 9, "continue").folder != run


def test_an_adapter_never_replaces_another_runs(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    for run in (mine, other):
        run.mkdir()
    first = adapter_file(tmp_path, "car", mine, 4)
    first.touch()
    note_saved(mine, first, 4, whole=True)
    assert first == tmp_path / "car.safetensors"
    assert adapter_file(tmp_path, "car", other, 4) == tmp_path / "car-2.safetensors"
    assert adapter_file(tmp_path, "car", mine, 4) == first  # made again, after the same steps
    assert adapter_file(tmp_path, "bus", mine, 4) == tmp_path / "bus.safetensors"


def test_an_adapter_that_was_kept_stays_where_its_run_goes_on(tmp_path: Path) -> None:
    kept = adapter_file(tmp_path, "car", tmp_path, 4)
    kept.touch()
    note_saved(tmp_path, kept, 4, whole=True)
    assert adapter_file(tmp_path, "car", tmp_path, 9) == tmp_path / "car-2.safetensors"


def test_a_saving_that_was_cut_short_is_done_again_in_its_place(tmp_path: Path) -> None:
    """The steps are done: what goes on there trains nothing, and serves no one before it ends."""
    run = a_run(tmp_path / "runs", ONE, state="finished", step=9)
    adapter = tmp_path / f"{run.name}.safetensors"
    note_saved(run, adapter, 9, whole=False)
    for resume in ("continue", "reuse"):
        choice = chosen(tmp_path / "runs", ONE, 9, resume)  # type: ignore[arg-type]
        assert choice == RunChoice(folder=run)
    assert adapter_file(tmp_path, "car", run, 9) == adapter


def test_just_the_run_that_is_resumed(tmp_path: Path) -> None:
    """An older run of the same settings than the newest, stopped early and kept."""
    root = tmp_path / "runs"
    older = a_run(root, ONE, state="finished", step=4)
    a_run(root, ONE, state="cancelled", step=5)
    done = a_run(root, ONE, state="finished", step=9)
    assert run_to_resume(root, older.name, ONE, 9) == RunChoice(folder=older)
    assert run_to_resume(root, done.name, ONE, 9).adapter is not None


@pytest.mark.parametrize(
    ("run_id", "description", "steps", "reason"),
    [
        ("gone-1", ONE, 9, "no longer exists"),
        ("../runs", ONE, 9, "no longer exists"),
        ("", OTHER, 9, "were different"),
        ("", ONE, 3, "completed more than 3 steps"),
    ],
)
def test_a_run_that_cannot_be_resumed(
    tmp_path: Path, run_id: str, description: dict[str, Any], steps: int, reason: str
) -> None:
    run = a_run(tmp_path / "runs", ONE, state="cancelled", step=4)
    with pytest.raises(SettingsError, match=reason):
        run_to_resume(tmp_path / "runs", run_id or run.name, description, steps)


def test_run_folders_have_names_for_addresses() -> None:
    assert choose_run(Path("runs"), "转身 1!", ONE, 9, "new").folder.name.startswith("1-")


def test_a_run_in_an_older_versions_words_goes_on(tmp_path: Path) -> None:
    """Its folder is named after its own description, which says the same in other words."""
    root = tmp_path / "runs"
    older = {"clips": {"0": "abc"}, "training": {"seed": None}}

    def means(description: Mapping[str, Any]) -> Mapping[str, Any]:
        seed = description["training"]["seed"]
        return {**description, "training": {"seed": seed or 0}}

    run = a_run(root, older, state="cancelled", step=4)
    assert choose_run(root, "car", ONE, 9, "continue").folder != run
    assert choose_run(root, "car", ONE, 9, "continue", means).folder == run
    assert choose_run(root, "car", OTHER, 9, "continue", means).folder != run
    assert run_to_resume(root, run.name, ONE, 9, means) == RunChoice(folder=run)
    own = a_run(root, ONE, state="cancelled", step=2)
    assert choose_run(root, "car", ONE, 9, "continue", means).folder == own
