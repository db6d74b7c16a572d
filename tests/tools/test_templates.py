"""What the template browser is told of the workflows: all of them, in order, in two languages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tools.workflows.__main__ import FOLDER, INDEXES, WORKFLOWS
from tools.workflows.graph import VIEW, Graph
from tools.workflows.templates import CHINESE, ENGLISH, TEMPLATES, in_order, index


def test_every_workflow_is_declared_and_the_first_is_to_learn_a_motion() -> None:
    assert set(WORKFLOWS) <= set(TEMPLATES)
    first = in_order(WORKFLOWS)[0]
    assert TEMPLATES[first].title[ENGLISH] == "Learn a motion"
    with pytest.raises(KeyError):
        in_order(["another"])


@pytest.mark.parametrize("language", [ENGLISH, CHINESE])
def test_titles_tell_the_workflows_apart(language: str) -> None:
    for told in TEMPLATES.values():
        assert told.title[language] and told.description[language]
    titles = [told.title[language] for told in TEMPLATES.values()]
    assert len(set(titles)) == len(titles)


def test_thumbnails_that_move_go_first(tmp_path: Path) -> None:
    names = ["train-on-your-checkpoint", "sample-base-motion-director"]
    (tmp_path / f"{names[1]}.webp").touch()
    (category,) = index(names, tmp_path, ENGLISH)
    told = [(entry["name"], entry["mediaSubtype"]) for entry in category["templates"]]
    assert told == [(names[1], "webp"), (names[0], "jpg")]


def test_the_indexes_that_ship_are_of_the_workflows_that_ship() -> None:
    for language, name in ((ENGLISH, "index.json"), (CHINESE, "index.zh.json")):
        shipped = json.loads((INDEXES / name).read_text(encoding="utf-8"))
        assert shipped == index(WORKFLOWS, FOLDER, language)
        (category,) = shipped
        assert {entry["name"] for entry in category["templates"]} == {
            file.stem for file in FOLDER.glob("*.json")
        }


def test_notes_have_no_code_in_their_lines() -> None:
    """ComfyUI's Vue nodes draw it dark on dark."""
    graph = Graph({})
    graph.note(0, "Set `memory` = low,\nor `fps`.", "Note")
    assert graph.saved()["nodes"][0]["widgets_values"] == ["Set **memory** = low,\nor **fps**."]
    for file in FOLDER.glob("*.json"):
        nodes = json.loads(file.read_text(encoding="utf-8"))["nodes"]
        notes = [node["widgets_values"][0] for node in nodes if node["type"] == "MarkdownNote"]
        assert notes and not any("`" in note for note in notes), file.name


def test_every_workflow_that_ships_opens_where_it_begins() -> None:
    for file in FOLDER.glob("*.json"):
        assert json.loads(file.read_text(encoding="utf-8"))["extra"] == {"ds": VIEW}, file.name


def test_every_model_file_that_a_workflow_names_says_where_it_comes_from() -> None:
    """The page finds an entry by the value of a widget. What a person makes has none."""
    for file in FOLDER.glob("*.json"):
        nodes = json.loads(file.read_text(encoding="utf-8"))["nodes"]
        for node in (node for node in nodes if node["type"] in LOADERS):
            entries = {entry["name"]: entry for entry in node["properties"]["models"]}
            assert all(entry["url"].startswith("https://") for entry in entries.values())
            values = [value for value in _values(node) if MODEL.search(str(value))]
            assert values and set(values) == set(entries), (file.name, node["type"])


def _values(node: dict[str, Any]) -> list[Any]:
    values = node["widgets_values"]
    return list(values.values() if isinstance(values, dict) else values)


LOADERS = ("CheckpointLoaderSimple", "LoadZeroScope", "AnimateDiffBaseFromModel")
MODEL = re.compile(r"\.(safetensors|ckpt|pth|bin)$")
