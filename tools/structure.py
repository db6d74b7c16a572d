"""How a tree's code hangs together: `python -m tools.structure TREE …` prints a table, one column a
tree, of motion_core's rooms and of what imports what in them.

A room is a file or folder at the top of motion_core. An arrow leads from a room to another that it
imports from, at the top of a file, in a function or for types alone; each pair counts once. Rooms
that import each other in a circle share a floor; every other room stands one floor above the
highest that it imports from.

The walk is a reader's who follows a training from the clip to the loss: from the module `--start`
into every import of the core, in the order in which they are written, each module once. A change of
rooms is a move, and a move to a higher floor a climb. Code lines leave out blank lines, comments
and docstrings.
"""

from __future__ import annotations

import argparse
import ast
import io
import sys
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

CORE = "motion_core"
COUNTED = (CORE, "nodes", "benchmarks", "tools")
START = "cli.train_run"

Imports = dict[str, list[str]]
"""The modules of a tree by name, and which of them each one imports, in the order of the file."""

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def imports(tree: Path, packages: Sequence[str]) -> Imports:
    """What every module of some packages imports of them, lazy imports and those for types too.

    tree: the folder that holds the packages.
    """
    files = {_name(file.relative_to(tree)): file for p in packages for file in _files(tree / p)}
    return {
        module: list(dict.fromkeys(n for n in _imported(module, file, files) if n != module))
        for module, file in files.items()
    }


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _name(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(module: str, file: Path, known: Mapping[str, Path]) -> Iterator[str]:
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    found = [
        node
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    for node in sorted(found, key=lambda node: node.lineno):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
            continue
        above = package[: len(package) - node.level + 1] if node.level else []
        source = ".".join([*above, *(node.module or "").split(".")]).strip(".")
        for alias in node.names:
            inner = f"{source}.{alias.name}"
            if inner in known or source in known:
                yield inner if inner in known else source


def room(module: str) -> str:
    """ "motion_core.video.clips" → "video"; "" for motion_core itself, which is no room."""
    return module.partition(".")[2].partition(".")[0]


def arrows(modules: Imports) -> set[tuple[str, str]]:
    """(room, room that it imports from)."""
    pairs = {(room(module), room(other)) for module, some in modules.items() for other in some}
    return {(upper, lower) for upper, lower in pairs if upper and lower and upper != lower}


def floors(rooms: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    """The floor of every room, 1 for those that import from none."""
    under = _all_below(rooms, pairs)
    found: dict[str, int] = {}
    # Who has more below stands higher; the rooms of a circle have the same below them.
    for name in sorted(under, key=lambda name: len(under[name] | {name})):
        lower = {other for other in under[name] if name not in under[other]}
        found[name] = 1 + max((found[other] for other in lower), default=0)
    return found


def in_circles(rooms: Iterable[str], pairs: Iterable[tuple[str, str]]) -> set[str]:
    """The rooms from which imports lead back to themselves."""
    return {name for name, under in _all_below(rooms, pairs).items() if name in under}


def _all_below(rooms: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Of every room those that it imports from, directly or through others."""
    below: dict[str, set[str]] = {name: set() for name in rooms}
    for upper, lower in pairs:
        below[upper].add(lower)
    return {name: _reached(name, below) for name in below}


def _reached(start: str, below: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = set(below[start])
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= below[name] - found
    return found


def walk(modules: Imports, start: str) -> list[str]:
    """The rooms in which a reader is, module after module, see the module's docstring."""
    read: list[str] = []
    waiting = [start]
    while waiting:
        module = waiting.pop()
        if module not in read:
            read.append(module)
            waiting += reversed(modules[module])
    return [name for name in map(room, read) if name]


def moves(visited: Sequence[str], floor: Mapping[str, int]) -> tuple[int, int]:
    """How often a walk changes rooms, and how often to a higher floor."""
    changes = [(a, b) for a, b in pairwise(visited) if a != b]
    return len(changes), sum(floor[b] > floor[a] for a, b in changes)


def code_lines(source: str) -> int:
    """Lines with code: not the blank ones, comments and docstrings."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - _docstring_lines(ast.parse(source)))


def _docstring_lines(tree: ast.Module) -> set[int]:
    bodies = [getattr(node, "body", None) for node in ast.walk(tree)]
    texts = [
        line
        for body in bodies
        if isinstance(body, list)
        for line in body
        if isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Constant)
        and isinstance(line.value.value, str)
    ]
    return {n for text in texts for n in range(text.lineno, (text.end_lineno or text.lineno) + 1)}


def figures(tree: Path, start: str) -> dict[str, int]:
    """The table's column for a tree. Raises KeyError if there is no module `start`."""
    modules = imports(tree, [CORE])
    rooms = {name for name in map(room, modules) if name}
    pairs = arrows(modules)
    floor = floors(rooms, pairs)
    moved, climbed = moves(walk(modules, f"{CORE}.{start}"), floor)
    lines = {
        name: sum(code_lines(file.read_text(encoding="utf-8")) for file in _files(tree / name))
        for name in COUNTED
    }
    return {
        "rooms at the top": len(rooms),
        "arrows between rooms": len(pairs),
        "rooms in a circle": len(in_circles(rooms, pairs)),
        "floors": max(floor.values()),
        "walk from a clip to its loss: moves between rooms": moved,
        "walk from a clip to its loss: climbs": climbed,
        **{f"code lines of {name}": count for name, count in lines.items()},
        "code lines together": sum(lines.values()),
    }


def table(columns: Mapping[str, Mapping[str, int]]) -> str:
    """Markdown: a row a figure, a column a tree."""
    names = list(columns)
    rows = ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for figure in columns[names[0]]:
        rows.append(f"| {figure} | " + " | ".join(f"{columns[n][figure]:,}" for n in names) + " |")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the table of the given trees to stdout."""
    parser = argparse.ArgumentParser(prog="python -m tools.structure", description=__doc__)
    parser.add_argument("trees", nargs="+", type=Path, help="folders that hold motion_core")
    parser.add_argument("--start", default=START, help="where the walk begins (%(default)s)")
    given = parser.parse_args(arguments)
    columns = {tree.resolve().name: figures(tree, given.start) for tree in given.trees}
    sys.stdout.write(table(columns) + "\n")


if __name__ == "__main__":
    main()
