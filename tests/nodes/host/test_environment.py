"""A broken environment is named. Each case runs in a process of its own, where a package that is
really broken lies before the installed one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from motion_adapters.nodes.host.environment import advice, broken_library

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
from tests.pack import load_pack
load_pack()
from motion_adapters.nodes.host.environment import working_libraries
from motion_core.errors import MotionError
try:
    with working_libraries():
        import torch
        import motion_core.backbones.animatediff
        from motion_core.adapters.lora.adapter import find_linears
        find_linears(torch.nn.Linear(1, 1), [""])
except MotionError as error:
    print(error)
"""


def said_with(tmp_path: Path, package: str, source: str) -> str:
    """What a node says where importing `package` runs `source`."""
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").write_text(source)
    (tmp_path / f"{package}-0.1.dist-info").mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n"
    (tmp_path / f"{package}-0.1.dist-info" / "METADATA").write_text(metadata)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    return done.stdout


def test_a_working_environment() -> None:
    assert broken_library() is None


def test_a_torchvision_of_another_torch(tmp_path: Path) -> None:
    error = "raise RuntimeError('operator torchvision::nms does not exist')"
    said = said_with(tmp_path, "torchvision", error)
    assert "torchvision 0.1 cannot be imported (RuntimeError: operator torchvision::nms" in said
    assert "Reinstall the torchvision build that matches torch" in said


def test_a_library_that_fails_itself(tmp_path: Path) -> None:
    said = said_with(tmp_path, "diffusers", "raise ImportError('cannot import name Mistral3Model')")
    assert "diffusers 0.1 cannot be imported (ImportError: cannot import name Mistral3" in said
    assert "pip install -U -r requirements.txt" in said


def test_a_library_that_lacks_another(tmp_path: Path) -> None:
    said = said_with(tmp_path, "peft", "import no_such_module")
    assert (
        "peft 0.1 cannot be imported (it requires no_such_module, which is not installed)" in said
    )


def test_torchaudio_may_go() -> None:
    """Where there is none, there is nothing to reinstall."""
    assert "Then restart ComfyUI." in advice("torchaudio", "OSError: undefined symbol")
