"""What is said of every method and its settings, in every language, without a ComfyUI to ask: the
panel's labels, the help page of its node, its rows on the training node's page.
"""

from __future__ import annotations

import json

import pytest
from motion_adapters.nodes.widget_values import none_of

from motion_core.methods import METHODS
from motion_core.settings import fields_of
from tools.help_pages import FOLDER, PANEL, cell, with_labels


def test_the_panel_has_the_labels_that_are_declared() -> None:
    texts = json.loads(PANEL.read_text(encoding="utf-8"))
    assert texts == with_labels(texts)


@pytest.mark.parametrize("language", ["zh"])
def test_other_languages_have_them_all(language: str) -> None:
    english = json.loads(PANEL.read_text(encoding="utf-8"))["motionAdapters"]["settings"]
    theirs = json.loads((PANEL.parents[1] / language / "main.json").read_text(encoding="utf-8"))
    assert theirs["motionAdapters"]["settings"].keys() == english.keys()


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_its_pages(name: str) -> None:
    """Its own with every setting as it is declared now, and its rows on the training node's."""
    settings = METHODS[name].Settings
    own = (FOLDER / f"{settings.__name__}.md").read_text(encoding="utf-8")
    training = (FOLDER / "TrainMotionAdapter.md").read_text(encoding="utf-8")
    title = name.replace("_", "-")
    assert f"\n| {title} | " in training
    assert f"{title}: {METHODS[name].summary}." in training
    for field in fields_of(settings):
        told = cell(field.help(none_of(field)))
        assert any(row.startswith(f"| `{field.name}` |") and told in row for row in own.split("\n"))
        row = f"| {title}: `{field.name}` |"
        assert field.said.main == (row in training), field.name


@pytest.mark.parametrize("language", ["zh"])
@pytest.mark.parametrize("name", METHODS)
def test_a_settings_node_is_translated(name: str, language: str) -> None:
    file = PANEL.parents[1] / language / "nodeDefs.json"
    nodes = json.loads(file.read_text(encoding="utf-8"))
    node = nodes.get(METHODS[name].Settings.__name__, {"inputs": {}})
    assert {field.name for field in fields_of(METHODS[name].Settings)} <= node["inputs"].keys()
    assert all(words["name"] and words["tooltip"] for words in node["inputs"].values())
    assert name.replace("_", "-") in nodes["TrainMotionAdapter"]["inputs"]["objective"]["tooltip"]
