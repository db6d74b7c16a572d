"""No sentence is cut in two: a string that stands alone in a line of code is read by nobody."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("motion_core", "nodes", "benchmarks", "tools")


def loose_strings(source: str) -> Iterator[int]:
    """Lines of strings that are statements of their own, but for docstrings of the module, of
    classes, functions and the names above them, which are triple-quoted.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, (ast.Constant, ast.JoinedStr)):
            text = ast.get_source_segment(source, node.value) or ""
            if text != "..." and not text.lstrip("rf").startswith('"""'):
                yield node.lineno


def test_the_second_half_of_a_sentence_is_found() -> None:
    source = 'def f():\n    """Text."""\n    x = "one "\n    "two"\n    return ...\n'
    assert list(loose_strings(source)) == [4]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_sentence_is_cut_in_two(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    found = {str(f): list(loose_strings(f.read_text(encoding="utf-8"))) for f in files}
    assert {file: lines for file, lines in found.items() if lines} == {}
