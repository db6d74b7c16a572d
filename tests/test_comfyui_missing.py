"""`pytest -m comfyui` without a ComfyUI fails, and says what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.comfyui.place import missing

ROOT = Path(__file__).resolve().parents[1]


def test_nothing_is_skipped_in_silence() -> None:
    environ = {name: value for name, value in os.environ.items() if "COMFYUI" not in name}
    command = [sys.executable, "-m", "pytest", "-m", "comfyui", "tests/comfyui/test_inside.py"]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "COMFYUI_PATH is not set" in done.stdout + done.stderr


def test_each_fault_of_the_variables_is_named(tmp_path: Path) -> None:
    python = str(sys.executable)
    assert "COMFYUI_PYTHON is not set" in str(with_main(tmp_path, {}))
    gone = {"COMFYUI_PYTHON": str(tmp_path / "gone")}
    assert f"there is no {tmp_path / 'gone'}" in str(with_main(tmp_path, gone))
    assert with_main(tmp_path, {"COMFYUI_PYTHON": python}) is None


@pytest.mark.parametrize("folder", ["", "elsewhere"])
def test_a_folder_without_comfyui_is_refused(folder: str, tmp_path: Path) -> None:
    given = {"COMFYUI_PATH": folder and str(tmp_path / folder), "COMFYUI_PYTHON": sys.executable}
    assert "COMFYUI_PATH" in str(missing(given))


def with_main(folder: Path, more: dict[str, str]) -> str | None:
    (folder / "main.py").touch()
    return missing({"COMFYUI_PATH": str(folder), **more})
