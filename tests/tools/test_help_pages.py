"""The panel's labels are those of the declarations, in every language."""

from __future__ import annotations

import json

import pytest

from tools.help_pages import PANEL, with_labels


def test_the_panel_has_the_labels_that_are_declared() -> None:
    texts = json.loads(PANEL.read_text(encoding="utf-8"))
    assert texts == with_labels(texts)


@pytest.mark.parametrize("language", ["zh"])
def test_other_languages_have_them_all(language: str) -> None:
    english = json.loads(PANEL.read_text(encoding="utf-8"))["motionAdapters"]["settings"]
    theirs = json.loads((PANEL.parents[1] / language / "main.json").read_text(encoding="utf-8"))
    assert theirs["motionAdapters"]["settings"].keys() == english.keys()
