"""Run folders: ids and names that stay inside, what is found there, deleting."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from motion_adapters.nodes.runs.registry.folder import (
    RunRequestError,
    append_mark,
    delete,
    disk_size,
    forget_samples,
    read_marks,
    reference_of,
    run_folder,
    run_folders,
    sample_file,
    sample_name,
    samples_of,
)
from motion_adapters.nodes.runs.registry.requests import parse_since


def make_run(root: Path, name: str = "zigzag-1") -> Path:
    folder = root / name
    (folder / "samples").mkdir(parents=True)
    (folder / "state.json").write_text('{"state": "finished", "step": 3, "total": 3}')
    return folder


def status_of(error: pytest.ExceptionInfo[RunRequestError]) -> int:
    return error.value.status


@pytest.mark.parametrize(
    "run_id", ["..", ".", "", "../outside", "a/b", "a\\b", "/etc", ".hidden", "a\0b", "x" * 200]
)
def test_an_id_cannot_leave_the_root(tmp_path: Path, run_id: str) -> None:
    make_run(tmp_path)
    with pytest.raises(RunRequestError) as error:
        run_folder(tmp_path, run_id)
    assert status_of(error) == 400


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunRequestError, match="no run 'other'") as error:
        run_folder(tmp_path, "other")
    assert status_of(error) == 404


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(RunRequestError) as error:
        run_folder(tmp_path, "notes")
    assert status_of(error) == 404


def test_a_link_out_of_the_root_is_no_run(tmp_path: Path) -> None:
    outside = make_run(tmp_path / "outside")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside)
    with pytest.raises(RunRequestError) as error:
        run_folder(root, "link")
    assert status_of(error) == 404


@pytest.mark.parametrize(
    "name", ["../state.json", "state.json", "step-1.py", "step-.mp4", "", ".."]
)
def test_only_samples_are_handed_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunRequestError) as error:
        sample_file(make_run(tmp_path), name)
    assert status_of(error) == 400


def test_a_sample_that_is_a_link_out_of_the_run(tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"secret")
    folder = make_run(tmp_path)
    (folder / "samples" / "step-1.mp4").symlink_to(secret)
    with pytest.raises(RunRequestError) as error:
        sample_file(folder, "step-1.mp4")
    assert status_of(error) == 404


def test_samples_by_step_and_the_reference(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    made = [sample_name(step, prompt) for step in (10, 2) for prompt in (2, 1)]
    for name in (*made, "reference.mp4", ".step-3.part.mp4", "notes.txt", "step-2-.mp4"):
        (folder / "samples" / name).write_bytes(b"12")
    assert samples_of(folder) == [
        {"step": 2, "prompt": 1, "file": "step-2.mp4"},
        {"step": 2, "prompt": 2, "file": "step-2-2.mp4"},
        {"step": 10, "prompt": 1, "file": "step-10.mp4"},
        {"step": 10, "prompt": 2, "file": "step-10-2.mp4"},
    ]
    assert reference_of(folder) == "reference.mp4"
    assert sample_file(folder, "step-2.mp4").read_bytes() == b"12"


def test_a_resumption_undoes_later_marks(tmp_path: Path) -> None:
    for kind, step in (("saved", 2), ("saved", 4), ("resumed", 2), ("saved", 4), ("saved", 4)):
        append_mark(tmp_path, {"kind": kind, "step": step})
    assert read_marks(tmp_path) == {"saved": [2, 4], "resumed": [2]}


def test_a_mark_that_was_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    append_mark(tmp_path, {"kind": "saved", "step": 2})
    with (tmp_path / "marks.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": "sav')
    assert read_marks(tmp_path)["saved"] == [2]


@pytest.mark.parametrize("line", ["nonsense", "5", "{}", '{"kind": "eaten", "step": 1}', "\xff"])
def test_a_damaged_mark_is_left_out(tmp_path: Path, line: str) -> None:
    append_mark(tmp_path, {"kind": "saved", "step": 2})
    with (tmp_path / "marks.jsonl").open("a", encoding="latin-1") as file:
        file.write(line + "\n")
    append_mark(tmp_path, {"kind": "saved", "step": 4})
    assert read_marks(tmp_path)["saved"] == [2, 4]


def test_later_samples_are_forgotten(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    for name in ("step-2.mp4", "step-4.mp4", "step-10.mp4", "reference.mp4"):
        (folder / "samples" / name).touch()
    forget_samples(folder, after=4)
    left = {path.name for path in (folder / "samples").iterdir()}
    assert left == {"step-2.mp4", "step-4.mp4", "reference.mp4"}


def test_only_runs_that_can_be_asked_for_are_listed(tmp_path: Path) -> None:
    outside = make_run(tmp_path / "outside")
    root = tmp_path / "root"
    for name in ("good", "with space", "ünïcode", ".hidden"):
        make_run(root, name)
    (root / "notes").mkdir()
    (root / "link").symlink_to(outside)
    assert [folder.name for folder in run_folders(root)] == ["good"]
    assert list(run_folders(tmp_path / "none")) == []


def test_a_folder_that_vanishes_while_it_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer removes a checkpoint between its being listed and looked into: here when the
    listing of its parent has been read.
    """
    folder = make_run(tmp_path)
    checkpoint = folder / "checkpoints" / "step-2"
    checkpoint.mkdir(parents=True)
    (checkpoint / "random.safetensors").write_bytes(b"x" * 1000)
    left = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    listed = os.scandir

    def scandir(path: str | os.PathLike[str]) -> object:
        if Path(path) == checkpoint and checkpoint.exists():
            checkpoint.rename(tmp_path / "replaced")
        return listed(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", scandir)
        assert disk_size(folder) == left


def test_size_and_deleting(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    before = disk_size(folder)
    (folder / "samples" / "step-1.mp4").write_bytes(b"x" * 1000)
    assert disk_size(folder) == before + 1000
    delete(folder)
    assert not folder.exists()


@pytest.mark.parametrize("text", ["-1", "1.5", "", "abc", "9" * 20, "٣", "1e3"])
def test_since_is_a_step(text: str) -> None:
    with pytest.raises(RunRequestError) as error:
        parse_since(text)
    assert status_of(error) == 400
    assert parse_since("120") == 120


def test_a_reason_is_plain_text(tmp_path: Path) -> None:
    with pytest.raises(RunRequestError) as error:
        run_folder(tmp_path, "<b>")
    assert json.dumps({"error": str(error.value)})
