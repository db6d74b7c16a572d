"""What differs on Windows and macOS, as far as it can be tried elsewhere: consoles that lack
letters, paths with spaces and backslashes, GPUs that are not there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from motion_core.cli.main import main
from motion_core.cli.parsing import matching
from motion_core.cli.terminal import quoted
from motion_core.errors import MotionError, SettingsError
from motion_core.video.writing import LEFT_BY_SYSTEMS, write_frames
from tests.fixture_files import FIXTURES

ROOT = Path(__file__).parents[2]
ADAPTER = next((FIXTURES / "adapters").rglob("*.safetensors"))
# A console of western Europe, and files that are not UTF-8 where nobody asks for it.
WINDOWS = {
    **{"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C.UTF-8"},
    "PYTHONIOENCODING": "cp1252",
}


def command(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "motion_core", *arguments],
        cwd=ROOT,
        env={**os.environ, **WINDOWS},
        capture_output=True,
        check=False,
    )


def test_names_that_the_console_lacks_are_spelled_out(tmp_path: Path) -> None:
    """cp1252 has the ü, and no Chinese letters."""
    file = tmp_path / "für 动作.safetensors"
    for wanted in (2, 0):
        done = command("inspect", str(file))
        text = (done.stderr if wanted else done.stdout).decode("cp1252")
        assert done.returncode == wanted, done.stderr.decode("cp1252")
        assert "für \\u52a8\\u4f5c.safetensors" in text
        shutil.copy(ADAPTER, file)


@pytest.mark.parametrize("name", ["train", "sample", "evaluate", "demo"])
def test_help_is_shown_by_any_console(name: str) -> None:
    done = command(name, "--help")
    assert done.returncode == 0, done.stderr.decode("cp1252")
    assert len(done.stdout) > 500


@pytest.mark.parametrize(
    ("windows", "wanted"),
    [
        (True, '"C:\\My Files\\run 1"'),
        (False, "'C:\\My Files\\run 1'"),
    ],
)
def test_paths_with_spaces_are_quoted_as_the_shell_wants(windows: bool, wanted: str) -> None:
    """cmd.exe knows no single quotes, and sh takes backslashes in double ones for its own."""
    assert quoted("C:\\My Files\\run 1", windows) == wanted
    assert quoted("C:\\run", True) == "C:\\run"


@pytest.mark.parametrize("name", ["mps", "xpu"])
def test_a_gpu_that_is_not_there_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from motion_core.cli.device import chosen_device

    with pytest.raises(SettingsError, match=f"no usable {name.upper()} GPU"):
        chosen_device(name)
    clip = str(ROOT / "motion_core/shape_world/clips/zigzag.mp4")
    argv = ["train", "--base", "shape-world-animatediff", "--clip", clip, "--prompt", "a zigzag"]
    assert main([*argv, "--output", str(tmp_path / "run"), "--device", name]) == 2
    assert f"no usable {name.upper()} GPU. Use --device cpu" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mps", "xpu"])
def test_a_gpu_that_is_there_is_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from motion_core.cli.device import chosen_device

    place = torch.xpu if name == "xpu" else torch.backends.mps
    monkeypatch.setattr(place, "is_available", lambda: True)
    assert chosen_device(name) == torch.device(name)
    assert chosen_device("auto").type in ("cpu", "cuda")


def test_patterns_are_matched_where_the_shell_does_not(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mp4", "c.txt", "[1].mp4"):
        (tmp_path / name).touch()
    found = matching(tmp_path / "?.mp4")
    assert [path.name for path in found] == ["a.mp4", "b.mp4"]
    for name in ("[1].mp4", "none-*.mp4", "c.txt"):
        assert matching(tmp_path / name) == [tmp_path / name]


def test_files_that_the_system_puts_into_folders_are_no_obstacle(tmp_path: Path) -> None:
    """The Finder leaves .DS_Store in every folder that it has shown; anything else is refused."""
    folder = tmp_path / "frames"
    write_frames(folder, torch.zeros(2, 3, 8, 8))
    for name in LEFT_BY_SYSTEMS:
        (folder / name).touch()
    assert len(write_frames(folder, torch.zeros(3, 3, 8, 8))) == 3
    (folder / "notes.txt").touch()
    with pytest.raises(MotionError, match=r"also contains notes\.txt"):
        write_frames(folder, torch.zeros(2, 3, 8, 8))
