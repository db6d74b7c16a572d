"""Which rows are measured, with whom, and by what code."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks.papers import code_digest as digests
from benchmarks.papers.cli_run import _shares, _steps
from benchmarks.papers.code_digest import code_digest
from benchmarks.papers.plans import PROMPTS, chosen, default_plan
from benchmarks.papers.subjects import POOL, subjects_for
from motion_core.cli.demo_run import SUBJECTS
from motion_core.errors import SettingsError
from motion_core.shape_world.references import WORN
from motion_core.shape_world.scores import Subject

DEVELOPMENT = {
    Subject(colour=colour, shape=shape, background=background)
    for colour, shape, background in (
        ("blue", "cross", "white"),
        ("yellow", "square", "black"),
        ("purple", "triangle", "striped"),
        ("cyan", "square", "dotted"),
        ("pink", "triangle", "grey"),
        ("orange", "cross", "black"),
        ("green", "square", "striped"),
        ("blue", "triangle", "white"),
    )
}
"""On these, settings were tuned."""


@pytest.mark.parametrize("motion", WORN)
def test_subjects_are_new_and_can_show_a_leak(motion: str) -> None:
    worn = WORN[motion]
    subjects = subjects_for(motion, PROMPTS)
    assert len(set(subjects)) == PROMPTS
    assert not set(subjects) & ({*SUBJECTS} | DEVELOPMENT)
    for one in subjects:
        assert one.colour != worn.colour and one.shape != worn.shape
        assert one.background != worn.background
    assert len(set(POOL)) == len(POOL)


def test_rows_are_chosen_by_pattern_and_method_and_the_base_comes_along() -> None:
    rows = default_plan().rows
    assert chosen(rows, (), None) == rows
    one = [row.name for row in chosen(rows, ["coupled/zeroscope/zigzag"], None)]
    assert one == ["base/zeroscope/zigzag", "coupled/zeroscope/zigzag"]
    names = {row.name for row in chosen(rows, ["*/zeroscope/*"], "motion_director")}
    assert names == {
        "base/zeroscope/zigzag",
        "motion-director/zeroscope/zigzag",
        "motion-director-terse/zeroscope/zigzag",
        "motion-director-plain/zeroscope/zigzag",
    }


def test_a_choice_of_nothing_says_what_there_is() -> None:
    rows = default_plan().rows
    with pytest.raises(SettingsError, match=r"No row fits 'motion-craft'.*motion-crafter"):
        chosen(rows, ["motion-craft"], None)
    with pytest.raises(SettingsError, match=r"of the method 'dreams'"):
        chosen(rows, (), "dreams")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """a imports b; c stands alone."""
    monkeypatch.setattr(digests, "ROOT", tmp_path)
    package = tmp_path / "motion_core"
    package.mkdir()
    (package / "a.py").write_text('"""Text."""\nfrom .b import two\nimport numpy\n')
    (package / "b.py").write_text("def two():\n    return 2\n")
    (package / "c.py").write_text("three = 3\n")
    return package


@pytest.mark.parametrize(
    ("file", "content", "changes"),
    [
        ("a.py", '"""Other text."""\nfrom .b import two  # twice\nimport numpy\n', False),
        ("b.py", 'def two():\n    """Two."""\n    return 2\n', False),
        ("b.py", "def two():\n    return 3\n", True),
        ("c.py", "three = 4\n", False),
        ("b_templates.txt", "a man\n", True),
    ],
)
def test_a_digest_is_of_what_is_computed(
    package: Path, file: str, content: str, changes: bool
) -> None:
    before = code_digest(["motion_core.a"])
    (package / file).write_text(content)
    assert (code_digest(["motion_core.a"]) != before) is changes


def test_the_digest_of_a_method_reaches_the_sampler_but_no_other_method() -> None:
    read = digests.modules_read(
        ["motion_core.methods.motion_director", "motion_core.training.trainer"]
    )
    assert {"motion_core.diffusion.noise", "motion_core.adapters.lora.training"} <= set(read)
    assert "motion_core.methods.motion_inversion" not in read


def test_shares_hold_every_row_once_and_keep_those_of_one_training_together() -> None:
    plan = default_plan()
    shares = _shares(plan, 2)
    assert sorted(r.name for s in shares for r in s.rows) == sorted(r.name for r in plan.rows)
    assert abs(_steps(shares[0].rows) - _steps(shares[1].rows)) < 420  # one training's, at the most
    for share in shares:
        groups = {(r.backbone, r.motion, r.variant.method) for r in share.rows}
        others = {
            (r.backbone, r.motion, r.variant.method)
            for other in shares
            if other is not share
            for r in other.rows
        }
        assert not groups & others
    assert [len(share.rows) for share in _shares(dataclasses.replace(plan, rows=()), 2)] == []
