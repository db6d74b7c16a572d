"""The tests that import comfy, each file in an interpreter of ComfyUI's environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.comfyui.bound import bound
from tests.comfyui.place import REPOSITORY, ComfyPlace, running_inside

FILES = sorted((Path(__file__).parent / "inside").glob("test_*.py"))
NO_TESTS = 5  # pytest's exit status when the marks leave nothing to run


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_inside(file: Path, comfyui: ComfyPlace, request: pytest.FixtureRequest) -> None:
    if running_inside(os.environ):
        pytest.skip("this is ComfyUI's interpreter: the file itself is collected")
    marks = request.config.option.markexpr
    command = [str(comfyui.python), "-m", "pytest", "-m", marks, str(file), "--color=no"]
    done = subprocess.run(
        bound(command), cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode == NO_TESTS:
        pytest.skip(f"nothing in it is marked {marks}")
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
