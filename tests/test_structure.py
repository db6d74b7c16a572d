"""Imports run down the list of folders, lazy ones and those for types too, and no folder grows
into a heap.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tools.structure import Imports, imports, in_circles, room

ROOT = Path(__file__).parents[1]

# Each may import from those before it.
CORE = (
    "errors",
    "types",
    "settings",
    "events",
    "files",
    "video",
    "backbones",
    "adapters",
    "diffusion",
    "shape_world",
    "bases",
    "adapter_files",
    "methods",
    "training",
    "evaluation",
    "cli",
    "__main__",
)
# Before the nodes, which are files by topic that may import from each other.
BELOW_NODES = ("host", "comfy_models", "sockets")
# web/lib's folders.
WEB = ("page", "text", "runs", "chart", "graph", "suited", "panel")


def climbs(modules: Imports, floor: Mapping[str, int]) -> set[tuple[str, str]]:
    """The imports that lead from a room to one of a higher floor."""
    pairs = {(module, other) for module, some in modules.items() for other in some}
    return {
        (module, other)
        for module, other in pairs
        if room(module) and room(other) and floor[room(module)] < floor[room(other)]
    }


def script_imports(folder: Path) -> Imports:
    """What the ES modules of a folder import of each other; names as in Python: lib.runs.store."""
    files = {file.resolve(): _dotted(file, folder) for file in folder.rglob("*.js")}
    return {
        name: [
            files[(file.parent / path).resolve()]
            for path in re.findall(r"(?:from|import)\s*\(?'(\.[^']+)'", _code(file))
        ]
        for file, name in files.items()
    }


def _dotted(file: Path, folder: Path) -> str:
    return ".".join(file.relative_to(folder.parent).with_suffix("").parts)


def _code(file: Path) -> str:
    """Without comments in blocks, in which types are named."""
    return re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)


def rooms(modules: Imports) -> set[str]:
    return {room(module) for module in modules} - {""}


def test_an_import_of_a_higher_room_climbs() -> None:
    modules = {"a": [], "a.low": ["a", "a.high.x"], "a.high": ["a.low"], "a.high.x": ["a.high"]}
    assert climbs(modules, {"low": 0, "high": 1}) == {("a.low", "a.high.x")}


def test_imports_of_the_core_run_down() -> None:
    modules = imports(ROOT, ["motion_core"])
    assert rooms(modules) == set(CORE)
    assert climbs(modules, {name: place for place, name in enumerate(CORE)}) == set()


def test_imports_of_the_nodes_run_down() -> None:
    modules = imports(ROOT, ["nodes"])
    assert rooms(modules) > {*BELOW_NODES, "extension"}
    nodes = rooms(modules) - set(BELOW_NODES)
    floor = {name: place for place, name in enumerate(BELOW_NODES)}
    floor |= dict.fromkeys(nodes, len(BELOW_NODES)) | {"extension": len(BELOW_NODES) + 1}
    assert climbs(modules, floor) == set()


def test_imports_of_scripts_are_found(tmp_path: Path) -> None:
    """In one line, over several, for its effects alone, lazily; comments don't count."""
    (tmp_path / "low").mkdir()
    (tmp_path / "low" / "b.js").write_text("")
    (tmp_path / "a.js").write_text(
        "/** @typedef {import('./no.js').T} T */\n"
        "import { x } from './low/b.js'\nimport {\n  y,\n} from './low/b.js'\n"
        "import './low/b.js'\nconst z = await import('./low/b.js')\n"
    )
    top = tmp_path.name
    assert script_imports(tmp_path) == {f"{top}.a": [f"{top}.low.b"] * 4, f"{top}.low.b": []}


def test_imports_of_the_page_run_down() -> None:
    modules = script_imports(ROOT / "web" / "lib")
    assert rooms(modules) == set(WEB)
    assert climbs(modules, {name: place for place, name in enumerate(WEB)}) == set()
    pairs = [(module, other) for module, some in modules.items() for other in some]
    assert in_circles(modules, pairs) == set()


def test_modules_form_no_circles() -> None:
    modules = imports(ROOT, ["motion_core", "nodes"])
    pairs = [(module, other) for module, some in modules.items() for other in some]
    assert in_circles(modules, pairs) == set()


def test_the_core_has_at_most_twenty_entries() -> None:
    core = ROOT / "motion_core"
    entries = {path.relative_to(core).parts[0] for path in core.rglob("*.py")}
    assert len(entries) <= 20
