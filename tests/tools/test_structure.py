"""The figures of a small tree, counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.structure import arrows, code_lines, floors, imports, in_circles, main, moves, walk

FILES = {
    "motion_core/__init__.py": "",
    "motion_core/errors.py": "class E(Exception):\n    pass\n",
    "motion_core/video/__init__.py": "",
    "motion_core/video/clips.py": "from ..errors import E\n",
    "motion_core/methods/__init__.py": "",
    "motion_core/methods/losses.py": "import json\n",
    "motion_core/methods/base.py": "from . import losses\nfrom ..video import clips\n",
    "motion_core/cli/__init__.py": "",
    "motion_core/cli/train_run.py": (
        "from .. import methods\n"
        "from ..methods.base import train\n"
        "def run():\n"
        "    from motion_core.video.clips import load\n"
    ),
    "nodes/__init__.py": "",
    "nodes/train.py": "from ..motion_core.cli.train_run import run\n",
}
CLIPS = "motion_core.video.clips"
ROOMS = ("errors", "video", "methods", "cli")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / "small" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "small"


def test_imports_are_found_wherever_and_however_they_are_written(tree: Path) -> None:
    found = imports(tree, ["motion_core", "nodes"])
    assert found["motion_core.methods.base"] == ["motion_core.methods.losses", CLIPS]
    assert found["motion_core.methods.losses"] == []
    assert found["motion_core.cli.train_run"] == [
        "motion_core.methods",
        "motion_core.methods.base",
        CLIPS,
    ]
    assert found["nodes.train"] == ["motion_core.cli.train_run"]


def test_rooms_their_arrows_and_floors(tree: Path) -> None:
    """errors 1, video 2, methods 3, cli 4."""
    pairs = arrows(imports(tree, ["motion_core"]))
    assert pairs == {
        ("video", "errors"),
        ("methods", "video"),
        ("cli", "methods"),
        ("cli", "video"),
    }
    assert [floors(ROOMS, pairs)[name] for name in ROOMS] == [1, 2, 3, 4]
    assert in_circles(ROOMS, pairs) == set()


def test_rooms_of_a_circle_share_a_floor() -> None:
    """a and b import each other and stand on c; d stands on b."""
    pairs = [("a", "b"), ("b", "a"), ("b", "c"), ("d", "b")]
    assert floors("abcd", pairs) == {"a": 2, "b": 2, "c": 1, "d": 3}
    assert in_circles("abcd", pairs) == {"a", "b"}


def test_a_walk_reads_each_module_once(tree: Path) -> None:
    """train_run, methods, base, losses, clips, errors: cli, three in methods, video, errors."""
    visited = walk(imports(tree, ["motion_core"]), "motion_core.cli.train_run")
    assert visited == ["cli", "methods", "methods", "methods", "video", "errors"]


def test_a_move_to_a_higher_floor_is_a_climb() -> None:
    """a → b down, b → c up, c → c none, c → a up."""
    assert moves("abcca", {"a": 3, "b": 1, "c": 2}) == (3, 2)


def test_code_lines_are_neither_blank_nor_comments_nor_docstrings() -> None:
    """def, the string's two lines, return."""
    source = (
        '"""Module,\n\nmore."""\n# comment\n\ndef f():  # beside\n    """Doc."""\n'
        '    text = """one\ntwo"""\n    return text\n'
    )
    assert code_lines(source) == 4


def test_the_table_has_a_column_a_tree(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code lines of the core: 2 in errors, 1 in clips, 1 in losses, 2 in base, 4 in train_run."""
    main([str(tree)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| | small |"
    assert "| rooms at the top | 4 |" in lines
    assert "| arrows between rooms | 4 |" in lines
    assert "| floors | 4 |" in lines
    assert "| walk from a clip to its loss: moves between rooms | 3 |" in lines
    assert "| walk from a clip to its loss: climbs | 0 |" in lines
    assert "| code lines of motion_core | 10 |" in lines
    assert "| code lines together | 11 |" in lines
