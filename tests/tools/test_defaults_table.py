"""The page of defaults: up to date, and every value accounted for."""

from __future__ import annotations

from motion_core.bases import BASES
from motion_core.methods import METHODS
from motion_core.methods.defaults import Material
from motion_core.training.suited import suited
from tools.defaults_table import COLUMNS, FILE, page, told_of

NOBODYS = {"`seed`", "`sample_every`"}  # no paper has a say in them


def rows() -> list[dict[str, str]]:
    lines = [line for line in page().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert all(len(row) == len(COLUMNS) for row in cells)
    return [dict(zip(COLUMNS, row, strict=True)) for row in cells if row[0] != COLUMNS[0]]


def test_the_page_is_up_to_date() -> None:
    """Otherwise: `python -m tools.defaults_table`."""
    assert FILE.read_text(encoding="utf-8") == page()


def test_every_value_has_a_source_and_another_one_a_reason() -> None:
    """Rows for other clips stand below one that has both."""
    for row in rows():
        if "," in row["setting"] or row["setting"] in NOBODYS:
            continue
        assert row["from"], row
        values = {row["AnimateDiff"], row["ZeroScope"], *row["small bases"].split(" / ")}
        papers = row["paper or official code"]
        if len(values) > 1 or (papers and papers not in values):
            assert row["why another"], row


def test_each_method_has_all_of_its_settings() -> None:
    shown = [row["setting"].strip("`") for row in rows()]
    for method in METHODS.values():
        for name in suited(method, BASES["zeroscope"], Material(videos=1, images=0)).settings:
            assert name in shown, name


def test_what_is_told_is_of_the_declaration_that_counts() -> None:
    """MotionCrafter's own number on a small base wins over the base's, and this over what
    MotionDirector says of every base.
    """
    small, large = BASES["shape-world-animatediff"], BASES["zeroscope"]
    crafter, director = METHODS["motion_crafter"], METHODS["motion_director"]
    assert told_of(crafter, small, "train", "steps").reason == "Tuned for the small bases."
    assert "v2, Sec. 4.1" in told_of(crafter, large, "train", "steps").source
    assert told_of(director, small, "train", "steps").source == small.source
    assert told_of(director, small, "train", "noise_draws").reason == "Several steady the loss."
    assert told_of(director, large, "train", "steps").source == "README.md and all official configs"
    assert told_of(director, large, "train", "learning_rate").source == "all official configs"
    assert told_of(director, large, "sample", "steps").source == large.source
