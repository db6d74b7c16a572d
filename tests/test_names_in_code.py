"""Who may know whom by name: a method's name stands in motion_core/methods alone, a family's in
motion_core/backbones and bases.py, and the class of a kind of adapter in motion_core/adapters and
the readers of files. Read from the code's names and keys. What is written for people
doesn't count, comments, docstrings and texts with a space in them: help may give an example, and a
score the paper that it comes from.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import pytest

from motion_core.adapters import ADAPTERS
from motion_core.adapters.base import Scope
from motion_core.bases import BASES
from motion_core.methods import METHODS

ROOT = Path(__file__).parents[1]

# Why some may: a file of another program is read by a reader of that program's name, and ids of
# nodes and folders of ComfyUI stay as they are.
MAY_NAME_A_METHOD = (
    "motion_core/adapter_files/official_motion_director.py",
    "motion_core/adapter_files/reading.py",
    "motion_core/backbones/files/kinds.py",  # what other programs' trainers call their files
)
MAY_NAME_A_FAMILY = (
    "motion_core/adapter_files/formats.py",
    "motion_core/adapter_files/lora_files.py",
    "motion_core/adapter_files/official_motion_director.py",
    "motion_core/adapter_files/official_motion_inversion.py",
    "motion_core/adapter_files/other_programs.py",
    "motion_core/adapter_files/reading.py",
    "motion_core/shape_world/base.py",  # the shipped bases' weights are files of both families
    "nodes/apply.py",
    "nodes/host/base_names.py",
    "nodes/apply_zeroscope.py",
    "nodes/bases.py",
    "nodes/extension.py",
    "nodes/host/folders.py",
    "nodes/comfy_models/",  # models that ComfyUI has built: it has a class a family
    # Defaults by base, of which one is called shape-world-zeroscope:
    "motion_core/methods/motion_crafter.py",
    "motion_core/methods/motion_inversion.py",
    "motion_core/methods/motrans/defaults.py",
)

MAY_NAME_AN_ADAPTER = (
    "motion_core/adapters/",
    "motion_core/adapter_files/",
    "motion_core/methods/motrans/",  # its own parts become adapters of their own kinds
)


def spelled(text: str) -> str:
    """ "MotionDirector" and "motion-director" → "motion_director"."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return re.sub(r"[^a-z0-9]+", "_", parted.lower())


def texts(tree: ast.Module) -> Iterator[str]:
    """Keys and identifiers of the code, imported ones too."""
    bodies = [getattr(node, "body", None) for node in ast.walk(tree)]
    lines = [line for body in bodies if isinstance(body, list) for line in body]
    docstrings = {id(line.value) for line in lines if isinstance(line, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings and " " not in node.value:
                yield node.value
        for field in ("id", "attr", "name", "arg", "module", "asname"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value


def method_names() -> list[str]:
    """Registry names and class names; a name that is a scope's too can't be told from it."""
    names = [*METHODS, *(type(method()).__name__ for method in METHODS.values())]
    return [name for name in names if spelled(name) not in get_args(Scope)]


def family_names() -> list[str]:
    return sorted({base.family for base in BASES.values()})


def naming(names: Sequence[str], owners: Sequence[str]) -> set[str]:
    """The files of the core and the nodes, but for the owners', in whose code a name stands."""
    pattern = re.compile(rf"(?:^|_)(?:{'|'.join(map(spelled, names))})(?:_|$)")
    files = [file for folder in ("motion_core", "nodes") for file in (ROOT / folder).rglob("*.py")]
    found = {file.relative_to(ROOT).as_posix() for file in files if named_in(file, pattern)}
    return {name for name in found if not name.startswith(tuple(owners))}


def named_in(file: Path, pattern: re.Pattern[str]) -> bool:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return any(pattern.search(spelled(text)) for text in texts(tree))


def test_names_are_found_in_code_but_not_in_prose() -> None:
    source = (
        '"""Of MotionDirector."""\n'
        "from a.motrans import b as vmc\n"
        "def coupled(decoupled: int) -> str:\n"
        '    """Of Vmc."""\n'
        "    return first(the.last, key='motion-director') or 'as MotionCrafter does'\n"
    )
    found = {spelled(text) for text in texts(ast.parse(source))}
    assert found >= {"a_motrans", "vmc", "coupled", "last", "key", "motion_director"}
    assert not found & {"of_motion_director", "of_vmc", "as_motion_crafter_does"}
    assert spelled("MotionDirectorSettings") == "motion_director_settings"


@pytest.mark.parametrize(
    ("names", "owners", "may"),
    [
        (method_names(), ["motion_core/methods/"], MAY_NAME_A_METHOD),
        (
            family_names(),
            ["motion_core/backbones/", "motion_core/bases.py"],
            MAY_NAME_A_FAMILY,
        ),
    ],
    ids=["methods", "families"],
)
def test_who_knows_whom_by_name(
    names: Sequence[str], owners: Sequence[str], may: Sequence[str]
) -> None:
    """Take a file off the list when it has stopped."""
    found = naming(names, owners)
    assert sorted(name for name in found if not name.startswith(tuple(may))) == []
    stopped = [name for name in may if not any(one.startswith(name) for one in found)]
    assert stopped == []


def test_who_knows_the_classes_of_adapters() -> None:
    """All others ask the protocol, or a table by kind that refuses what is not in it."""
    classes = {adapter.__name__ for adapter in ADAPTERS.values()}
    files = [file for folder in ("motion_core", "nodes") for file in (ROOT / folder).rglob("*.py")]
    found = {
        file.relative_to(ROOT).as_posix()
        for file in files
        if classes & set(texts(ast.parse(file.read_text(encoding="utf-8"))))
    }
    assert sorted(name for name in found if not name.startswith(MAY_NAME_AN_ADAPTER)) == []
