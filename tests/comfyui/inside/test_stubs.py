"""The stubs in typings/ say what the nodes use of ComfyUI; here they are held against a real one.

A stub may leave out what nobody uses, but whatever it names has to be there: modules, functions,
classes, their attributes, and parameters by name.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

STUBS = Path(__file__).parents[3] / "typings"
FILES = sorted(STUBS.rglob("*.pyi"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def module_name(stub: Path) -> str:
    parts = stub.relative_to(STUBS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def missing(stub: ast.Module | ast.ClassDef, real: Any, name: str) -> Iterator[str]:
    """What a stub's module or class names that the real one does not have. A name that begins with
    "_" is the stub's own, but for `__init__`.
    """
    for node in stub.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if not has(real, node.target.id):
                yield f"{name}.{node.target.id}"
        elif isinstance(node, Function) and (node.name == "__init__" or node.name[0] != "_"):
            if not has(real, node.name):
                yield f"{name}.{node.name}"
            else:
                found = getattr(real, node.name, None)
                yield from (f"{name}.{node.name}({p})" for p in missing_parameters(node, found))
        elif isinstance(node, ast.ClassDef) and node.name[0] != "_":
            if not hasattr(real, node.name):
                yield f"{name}.{node.name}"
            else:
                yield from missing(node, getattr(real, node.name), f"{name}.{node.name}")


def has(real: Any, attribute: str) -> bool:
    """As an attribute of its own, of its instances, or one that `__init__` or another method of its
    classes sets.
    """
    if hasattr(real, attribute):
        return True
    if not inspect.isclass(real):
        return False
    sets = [f"self.{attribute} =", f"self.{attribute}:", f"register_buffer('{attribute}'"]
    return any(
        attribute in getattr(base, "__annotations__", {}) or any(s in source_of(base) for s in sets)
        for base in real.__mro__
    )


def source_of(base: type) -> str:
    try:
        return inspect.getsource(base)
    except (OSError, TypeError):  # built in
        return ""


def missing_parameters(stub: Function, real: Any) -> list[str]:
    """A real function that takes any keyword has them all; a property is no function."""
    if not callable(real):
        return []
    parameters = inspect.signature(real).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return []
    named = [*stub.args.posonlyargs, *stub.args.args, *stub.args.kwonlyargs]
    return [p.arg for p in named if p.arg not in ("self", "cls") and p.arg not in parameters]


@pytest.mark.parametrize("stub", FILES, ids=module_name)
def test_what_a_stub_names_is_there(stub: Path) -> None:
    name = module_name(stub)
    # A module that ComfyUI has as a name in another one, such as comfy_api.latest's io.
    above, _, last = name.rpartition(".")
    try:
        real = importlib.import_module(name)
    except ModuleNotFoundError:
        real = getattr(importlib.import_module(above), last)
    assert list(missing(ast.parse(stub.read_text(encoding="utf-8")), real, name)) == []


def test_what_is_not_there_is_found() -> None:
    class Real:
        def __init__(self) -> None:
            self.made = 1

        def one(self, a: int) -> None: ...

        def any(self, **options: int) -> None: ...

    stub = ast.parse(
        "made: int\ngone: int\n"
        "def one(self, a, b): ...\ndef any(self, c): ...\ndef two(self): ...\n"
        "class Inner: ...\nclass _Own: ...\n"
    )
    assert list(missing(stub, Real, "m")) == ["m.gone", "m.one(b)", "m.two", "m.Inner"]
