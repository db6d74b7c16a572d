"""The core stands alone: ComfyUI is nowhere imported in it, at the top or in a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import motion_core

COMFYUI = {"comfy", "comfy_api", "comfy_extras", "execution", "folder_paths", "nodes", "server"}


def imported(source: str) -> Iterator[str]:
    """The first parts of all absolute imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def test_imports_are_found_wherever_they_are() -> None:
    source = "import a.b\ndef f():\n    from comfy.utils import c\n    from . import d"
    assert list(imported(source)) == ["a", "comfy"]


def test_the_core_never_imports_comfyui() -> None:
    files = list(Path(motion_core.__file__).parent.rglob("*.py"))
    assert len(files) > 50
    found = {file.name: COMFYUI & set(imported(file.read_text(encoding="utf-8"))) for file in files}
    assert {name: modules for name, modules in found.items() if modules} == {}
