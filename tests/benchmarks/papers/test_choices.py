"""Which rows are measured, with whom, and by what code."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks.papers import code_digest as digests
from benchmarks.papers.cli_run import _shares, _steps
from benchmarks.papers.code_digest import code_digest
from benchmarks.papers.plans import HEADLINE_TRAININGS, PROMPTS, chosen, default_plan, quick_plan
from benchmarks.papers.subjects import DEVELOPMENT, subjects_for, wearers_for
from benchmarks.papers.variants import METHODS, TUNED
from motion_core.cli.demo_run import SUBJECTS
from motion_core.errors import SettingsError
from motion_core.shape_world.references import WORN


@pytest.mark.parametrize("motion", WORN)
def test_subjects_are_new_and_can_show_a_leak(motion: str) -> None:
    worn = WORN[motion]
    subjects = subjects_for(motion, PROMPTS)
    assert len(set(subjects)) == PROMPTS
    assert not set(subjects) & {*SUBJECTS, *DEVELOPMENT}
    assert not set(subjects) & set(wearers_for(motion, 10))
    for one in subjects:
        assert one.colour != worn.colour and one.shape != worn.shape
        assert one.background != worn.background
    assert subjects_for(motion, 3) == subjects[:3]


def test_headline_rows_are_trained_three_times_and_run_first() -> None:
    """Tuned and as in the papers, on both bases; each row once before any twice."""
    plan = default_plan()
    names = {variant.name for variant in METHODS}
    headline = [r for r in plan.rows if r.motion == "zigzag" and r.variant.name in names]
    assert len(headline) == 2 * len(METHODS) == 16
    assert {row.trainings for row in headline} == {HEADLINE_TRAININGS} == {3}
    first = plan.units[: 3 * 16 + 4]
    assert {unit.row.name for unit in first} >= {row.name for row in headline}
    assert [unit.seed for unit in first] == [0] * 20 + [1] * 16 + [2] * 16
    assert {row.trainings for row in plan.rows if row not in headline} == {1}


def test_every_method_meets_every_motion() -> None:
    plan = default_plan()
    for motion in WORN:
        for backbone in ("animatediff", "zeroscope"):
            names = {
                r.variant.name for r in plan.rows if (r.backbone, r.motion) == (backbone, motion)
            }
            assert {"base", *(variant.name for variant in TUNED)} <= names


def test_every_row_is_measured_in_some_order() -> None:
    plan = default_plan()
    assert len({row.name for row in plan.rows}) == len(plan.rows)
    assert len({unit.name for unit in plan.units}) == len(plan.units)
    assert {unit.row.name for unit in plan.units} == {row.name for row in plan.rows}
    assert len(quick_plan().units) == 5


def test_rows_are_chosen_by_pattern_and_method_and_the_base_comes_along() -> None:
    plan = default_plan()
    assert chosen(plan, (), None) == plan
    one = chosen(plan, ["coupled/zeroscope/zigzag"], None)
    assert [row.name for row in one.rows] == ["base/zeroscope/zigzag", "coupled/zeroscope/zigzag"]
    assert [unit.name for unit in one.units] == [
        "base.zeroscope.zigzag.0",
        "coupled.zeroscope.zigzag.0",
    ]
    names = {row.name for row in chosen(plan, ["*/zeroscope/bounce"], "motion_director").rows}
    assert names == {"base/zeroscope/bounce", "motion-director/zeroscope/bounce"}


def test_a_choice_of_nothing_says_what_there_is() -> None:
    plan = default_plan()
    with pytest.raises(SettingsError, match=r"No row fits 'motion-craft'.*motion-crafter"):
        chosen(plan, ["motion-craft"], None)
    with pytest.raises(SettingsError, match=r"of the method 'dreams'"):
        chosen(plan, (), "dreams")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """a imports b and d; c stands alone."""
    monkeypatch.setattr(digests, "ROOT", tmp_path)
    package = tmp_path / "motion_core"
    package.mkdir()
    (package / "a.py").write_text('"""Text."""\nfrom .b import two\nfrom .d import rank\n')
    (package / "d.py").write_text('rank: int = setting(4, help="Size.", label="rank", low=1)\n')
    (package / "b.py").write_text("def two():\n    return 2\n")
    (package / "c.py").write_text("three = 3\n")
    return package


@pytest.mark.parametrize(
    ("file", "content", "changes"),
    [
        ("a.py", '"""Other text."""\nfrom .b import two  # twice\nfrom .d import rank\n', False),
        ("b.py", 'def two():\n    """Two."""\n    return 2\n', False),
        ("b.py", "def two():\n    return 3\n", True),
        ("c.py", "three = 4\n", False),
        ("b_templates.txt", "a man\n", True),
        ("d.py", 'rank: int = setting(4, help="Other words.", label="size", low=1)\n', False),
        ("d.py", 'rank: int = setting(4, help="Size.", label="rank", low=2)\n', True),
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


def test_shares_hold_every_training_once_and_keep_those_that_are_one_together() -> None:
    """In the plan's order, and of about the same number."""
    plan = default_plan()
    shares = _shares(plan, 3)
    assert sorted(u.name for s in shares for u in s.units) == sorted(u.name for u in plan.units)
    steps = [_steps(share.units) for share in shares]
    assert max(steps) - min(steps) < 0.02 * max(steps)
    order = [unit.name for unit in plan.units]
    seen: dict[tuple[object, ...], int] = {}
    for number, share in enumerate(shares):
        places = [order.index(unit.name) for unit in share.units]
        assert places == sorted(places)
        for unit in share.units:
            row = unit.row
            group = (row.backbone, row.motion, row.variant.method, unit.seed)
            assert seen.setdefault(group, number) == number
    assert _shares(dataclasses.replace(plan, units=()), 2) == []


def test_the_quick_plan_is_cut_into_equal_halves() -> None:
    """MoTrans's 420 steps with MotionDirector's 300, and the others' 350 and 330."""
    assert sorted(_steps(share.units) for share in _shares(quick_plan(), 2)) == [680, 720]
