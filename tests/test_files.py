"""Files appear whole or not at all, and others may read them as the user's umask says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from motion_core.backbones.files.tensors import write_tensors
from motion_core.errors import MotionError
from motion_core.files import replacing
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
