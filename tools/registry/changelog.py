"""CHANGELOG.md: what a version changed, for the registry's page of it."""

from __future__ import annotations

import re
from pathlib import Path

from .archive import ROOT

FILE = ROOT / "CHANGELOG.md"


def section(version: str, file: Path = FILE) -> str:
    """The text below the heading of a version. Raises KeyError if there is none."""
    parts = re.split(r"^## (.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        if heading.split()[0] == version:
            return text.strip()
    raise KeyError(f"{file.name} has no section about {version}.")
