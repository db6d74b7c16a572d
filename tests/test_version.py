"""The package says its version itself: it is often used from a folder, not installed."""

from __future__ import annotations

import re
from pathlib import Path

import motion_core


def test_the_version_is_the_projects() -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    version = re.search(r'^version = "(.+)"$', project.read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    assert motion_core.__version__ == version[1]
