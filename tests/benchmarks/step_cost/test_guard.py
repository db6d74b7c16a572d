"""What a training step costs is what was counted and committed.

Whoever changes it, for better or worse, counts again: `python -m benchmarks.step_cost --guarded`,
and says in docs/speed.md what it gained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from benchmarks.step_cost.cases import CASES, FAMILIES, GUARDED, METHODS, SIZES, Case
from benchmarks.step_cost.page import PAGE, tables
from benchmarks.step_cost.rows import (
    LIBRARIES,
    Row,
    differences,
    kept_versions,
    read_rows,
    row_of,
    versions,
)
from motion_core.backbones.base import Keeps

SAME_LIBRARIES = versions() == kept_versions()


@pytest.mark.skipif(not SAME_LIBRARIES, reason=f"counted with {kept_versions()}")
@pytest.mark.parametrize("case", GUARDED, ids=lambda case: f"{case.method}-{case.family}")
def test_a_step_costs_what_was_counted(case: Case) -> None:
    changed = differences(read_rows()[case], row_of(case, case.counted()))
    assert not changed, "\n".join(["The step costs something else:", *changed])


def test_one_percent_more_is_seen_and_its_operation_named() -> None:
    """100 launches of a cast with 10 bytes each; one is added."""
    case = GUARDED[0]
    operations = {"_to_copy": [100, 0, 1000], "mm": [50, 7000, 3000]}
    before = Row(case, 150, 7000, 4000, 99, 4, 9, operations)
    after = replace(
        before, launches=151, moved=4010, operations={**operations, "_to_copy": [101, 0, 1010]}
    )
    assert differences(before, before) == []
    assert differences(before, after) == [
        "launches: 150 → 151",
        "moved: 4,000 → 4,010",
        "_to_copy: +1 launches, +0 FLOPs, +10 bytes",
    ]


def test_an_operation_that_is_new_or_gone_is_named() -> None:
    before = Row(GUARDED[0], 1, 0, 8, 0, 0, 0, {"mul": [1, 0, 8]})
    after = replace(before, operations={"div": [1, 0, 8]})
    assert differences(before, after) == [
        "mul: -1 launches, +0 FLOPs, -8 bytes",
        "div: +1 launches, +0 FLOPs, +8 bytes",
    ]


def test_every_case_is_kept() -> None:
    rows = read_rows()
    assert set(rows) == set(CASES)
    assert set(GUARDED) <= set(CASES)
    assert set(kept_versions()) == set(LIBRARIES)
    assert {case.method for case in GUARDED} == set(METHODS)
    for row in rows.values():
        totals = [sum(costs) for costs in zip(*row.operations.values(), strict=True)]
        assert totals == [row.launches, row.flops, row.moved]


def test_the_page_has_the_tables_of_the_rows() -> None:
    page = PAGE.read_text("utf-8")
    for name, table in tables(read_rows()).items():
        assert f"<!-- {name} -->\n{table}<!-- /{name} -->" in page


@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_grows_no_faster_than_the_frames(family: str) -> None:
    """Four times the frames: four times the cost of a frame at most, in the same launches."""
    rows = read_rows()
    few, many = (rows[Case("ours", "motion_director", family, frames=frames)] for frames in (8, 32))
    assert many.launches == few.launches
    for name in ("flops", "moved", "peak"):
        assert getattr(many, name) <= 4 * getattr(few, name)


# At most so many times the textbook's FLOPs, launches, bytes and peak. Without anything computed
# again, ZeroScope's step is at 0.71 of the FLOPs, which are those of the passes themselves.
BARS: Mapping[Keeps, tuple[float, ...]] = {
    "all": (0.72, 0.35, 0.32, 6.0),
    "outputs": (0.88, 0.45, 0.42, 1.25),
    "inputs": (1.0, 0.47, 0.43, 0.70),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("keeps", BARS)
def test_motion_directors_step_is_lighter_than_the_textbooks(keeps: Keeps, family: str) -> None:
    rows = read_rows()
    for size in SIZES:
        book = rows[Case("textbook", "motion_director", family, *size, keeps="inputs")]
        ours = rows[replace(book.case, recipe="ours", keeps=keeps)]
        names = ("flops", "launches", "moved", "peak")
        ratios = [getattr(ours, name) / getattr(book, name) for name in names]
        assert all(ratio <= bar for ratio, bar in zip(ratios, BARS[keeps], strict=True)), ratios
