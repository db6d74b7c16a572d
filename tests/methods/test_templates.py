"""The shipped appearance templates, and users' own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from motion_core.errors import SettingsError
from motion_core.methods.templates import SHIPPED, filled_templates, load_templates
from motion_core.shape_world.vocabulary import caption_words


@pytest.mark.parametrize("name", SHIPPED)
def test_at_least_forty_ship(name: str) -> None:
    templates = load_templates(name)
    assert len(templates) >= 40
    assert len(set(templates)) == len(templates)


def test_the_papers_own_template() -> None:
    (first, *_) = load_templates("everyday")
    assert filled_templates([first], " riding a bicycle ") == [
        "a woman with a hat is riding a bicycle in a park"
    ]


def test_shapes_are_in_shape_worlds_words() -> None:
    words = {word for template in load_templates("shapes") for word in template.split()}
    assert words - set(caption_words()) == {"{}"}


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    """Blank lines do not count, and other braces are text."""
    path = tmp_path / "mine.txt"
    path.write_text("a cat {} at home\n\n  {} in {a} box \n", encoding="utf-8")
    assert load_templates(str(path)) == ["a cat {} at home", "{} in {a} box"]
    assert filled_templates(load_templates(str(path)), "sleeps") == [
        "a cat sleeps at home",
        "sleeps in {a} box",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a cat {} at home\na dog\n", r"mine\.txt, line 2, has 0 gaps: 'a dog'"),
        (b"{} and {}\n", "line 1, has 2 gaps"),
        (b" \n\n", "contains no templates"),
        (b"\xff\xfe\x00{}", "cannot be read as a text file"),
    ],
)
def test_files_that_cannot_be_used(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        load_templates(str(path))


def test_a_missing_file_names_the_shipped_lists() -> None:
    with pytest.raises(SettingsError, match=r"'nowhere\.txt'.*'everyday' or 'shapes'"):
        load_templates("nowhere.txt")
