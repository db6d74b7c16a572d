"""Files appear whole or not at all, and others may read them as the user's umask says."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
import torch

from motion_core.backbones.files.tensors import write_tensors
from motion_core.errors import MotionError
from motion_core.files import PAUSES, patiently, remove_file, remove_folder, replacing
from motion_core.training.records import write_json


def test_a_failing_body_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("older")
    with pytest.raises(RuntimeError), replacing(path) as partial:
        partial.write_text("newer")
        raise RuntimeError("in the middle")
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_the_umasks(tmp_path: Path) -> None:
    """0o666 without the bits of the umask 0o027 is 0o640."""
    before = os.umask(0o027)
    try:
        write_tensors(tmp_path / "weights.safetensors", {"a": torch.zeros(1)}, {})
    finally:
        os.umask(before)
    assert (tmp_path / "weights.safetensors").stat().st_mode & 0o777 == 0o640


def test_json_that_cannot_be_written_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"step": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"step": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8")) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(MotionError, match="cannot be written"):
        write_json(path / "below", {})


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MotionError, match="cannot be written"), replacing(tmp_path / "file" / "x"):
        pass


ROOT = Path(__file__).parents[1]


class Held:
    """Fails as Windows does while somebody holds a file, so many times."""

    def __init__(self, times: int, code: int) -> None:
        self.left, self.code = times, code
        self.paused: list[float] = []

    def __call__(self) -> None:
        if self.left:
            self.left -= 1
            error = PermissionError(13, "Access is denied")
            error.winerror = self.code  # type: ignore[attr-defined]
            raise error


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that were asked for and not waited."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


@pytest.mark.parametrize("code", [5, 32, 33, 1224])
def test_a_file_that_is_in_use_for_a_moment_is_waited_for(code: int, paused: list[float]) -> None:
    patiently(Held(3, code))
    assert paused == list(PAUSES[:3])
    assert sum(PAUSES) < 4


def test_a_file_that_stays_in_use_is_an_error(paused: list[float]) -> None:
    with pytest.raises(PermissionError):
        patiently(Held(99, 32))
    assert paused == list(PAUSES)


def test_what_is_not_allowed_is_an_error_at_once(paused: list[float]) -> None:
    """A missing permission on Linux has no winerror; "not found" (2) will not come by waiting."""
    with pytest.raises(PermissionError):
        patiently(lambda: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(PermissionError):
        patiently(Held(1, 2))
    assert paused == []


def test_a_file_in_use_is_replaced_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paused: list[float]
) -> None:
    """As when the page reads state.json while the training writes it."""
    held, really = Held(2, 5), Path.replace

    def replace(source: Path, target: Path) -> Path:
        held()
        return really(source, target)

    monkeypatch.setattr(Path, "replace", replace)
    write_json(tmp_path / "state.json", {"step": 1})
    assert json.loads((tmp_path / "state.json").read_text(encoding="utf-8")) == {"step": 1}
    assert len(paused) == 2
    held.left = 99
    with pytest.raises(MotionError, match="Close the programs that have it open"):
        write_json(tmp_path / "state.json", {"step": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_folder_in_use_is_removed_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paused: list[float]
) -> None:
    held, really = Held(1, 32), os.rmdir

    def rmdir(*arguments: object, **options: object) -> None:
        held()
        really(*arguments, **options)  # type: ignore[arg-type]

    (tmp_path / "run").mkdir()
    monkeypatch.setattr(os, "rmdir", rmdir)
    remove_folder(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert len(paused) == 1


def test_a_file_in_use_is_removed_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paused: list[float]
) -> None:
    held, really = Held(2, 32), Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        held()
        really(path, missing_ok)

    (tmp_path / "sample.mp4").touch()
    monkeypatch.setattr(Path, "unlink", unlink)
    remove_file(tmp_path / "sample.mp4")
    assert list(tmp_path.iterdir()) == [] and len(paused) == 2
    remove_file(tmp_path / "sample.mp4")


DELETING = re.compile(r"\.unlink\(|rmtree\(|os\.(?:remove|replace|rename)\(|\.rename\(")


def test_everything_that_deletes_or_replaces_waits() -> None:
    """Nothing in the core and the nodes does it by itself. What only cleans up after itself, and is
    told to ignore errors, may.
    """
    found = [
        f"{file.relative_to(ROOT).as_posix()}: {line.strip()}"
        for folder in ("motion_core", "nodes")
        for file in sorted((ROOT / folder).rglob("*.py"))
        if file != ROOT / "motion_core" / "files.py"
        for line in file.read_text(encoding="utf-8").splitlines()
        if DELETING.search(line) and "patiently(" not in line and "ignore_errors" not in line
    ]
    assert found == []
