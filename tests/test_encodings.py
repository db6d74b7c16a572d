"""Text files are read and written as UTF-8 on every system: without an encoding, Windows takes the
one of its language.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("motion_core", "nodes", "tools", "benchmarks")
RULE = ("--isolated", "--preview", "--select", "PLW1514", "--output-format", "json")


def found(*paths: Path) -> list[tuple[str, int]]:
    """Files and lines that open a text file without an encoding, as ruff reads the code."""
    command = [sys.executable, "-m", "ruff", "check", *RULE, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return [(fault["filename"], fault["location"]["row"]) for fault in json.loads(done.stdout)]


def test_text_files_have_an_encoding() -> None:
    assert found(*(ROOT / folder for folder in FOLDERS)) == []


def test_one_without_is_found(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("with open('a.txt') as file:\n    pass\nopen('b', 'rb')\n", encoding="utf-8")
    assert found(file) == [(str(file), 1)]
