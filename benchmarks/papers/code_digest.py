"""A hash of the code that decides a figure, so that a figure kept from an earlier run is never that
of other code.

In: names of modules of the core and the benchmarks. Out: a digest of them and of all such modules
that they import, directly or not. Comments and docstrings don't count, nor what a setting says of
itself to people. Text files count that lie
beside a module and begin with its name, as what it reads.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

PACKAGES = ("motion_core", "benchmarks")
ROOT = Path(__file__).parents[2]
WORDS = (
    *("help", "label", "source", "official", "reason", "none", "main", "later"),
    *("step", "widget_high", "widget_none", "folder", "lines", "flag", "metavar", "repeated"),
)
"""Of a setting: what widgets, flags and help pages make of it."""


def code_digest(modules: Sequence[str]) -> str:
    """sha256 of these modules' syntax trees, and of those of what they import of ours."""
    return hashlib.sha256(repr(sorted(modules_read(modules).items())).encode()).hexdigest()


def modules_read(modules: Sequence[str]) -> dict[str, str]:
    """What `code_digest` is of, by the modules' names."""
    read: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = _file(module)
        if path is None or module in read:
            continue
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        read[module], imported = _parsed(path, package, path.stat().st_mtime_ns)
        waiting += imported
        for text in sorted(path.parent.glob(f"{path.stem}*.txt")):
            read[text.name] = text.read_text(encoding="utf-8")
    return read


@cache
def _parsed(path: Path, package: str, changed: int) -> tuple[str, tuple[str, ...]]:
    """The file's syntax tree, and what it imports; rows have most files in common."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = tuple(_imported(tree, package))
    return ast.dump(_without_words(tree)), imported


def _file(module: str) -> Path | None:
    """The module's file; None for what is no module of ours, such as a function's name."""
    names = module.split(".")
    if names[0] not in PACKAGES:
        return None
    place = ROOT.joinpath(*names)
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """What is imported anywhere in the tree, as modules and as names in modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _without_words(tree: ast.Module) -> ast.Module:
    """The tree without docstrings, and without the words of `setting(...)`."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "setting":
            node.keywords = [word for word in node.keywords if word.arg not in WORDS]
    return tree


def _is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)
