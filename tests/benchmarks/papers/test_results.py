"""What rows have in common, how they are kept, and in what order they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.papers.kept import Kept, earlier_rows, kept_rows, read_kept, write_kept
from benchmarks.papers.ranking import ranks
from benchmarks.papers.results import APPEARANCE, FIDELITY, LEAKAGE, common_clips, difference
from motion_core.errors import FormatError
from tests.benchmarks.papers.hand_made import row, training

BASE = row("base", training([0.0, 0.25], train_seconds=None))
TWICE = row("twice", training([0.5, 0.75], seed=0), training([1.0, 0.25], seed=1))


def test_a_base_stands_beside_every_training() -> None:
    """0.5 − 0, 0.75 − 0.25; 1 − 0, 0.25 − 0.25: 0.5 on the mean. Either way round."""
    assert common_clips(TWICE, BASE) == (["prompt 0", "prompt 1"], [0, 1])
    assert difference(TWICE, BASE, FIDELITY).mean == 0.5
    assert difference(BASE, TWICE, FIDELITY).mean == -0.5


def test_only_trainings_with_the_same_seed_are_compared() -> None:
    """The second of three: (1 + 0.25 − 0.5 − 0.5)/2."""
    other = row("other", training([0.5, 0.5], seed=1), training([9.0, 9.0], seed=2))
    assert common_clips(TWICE, other) == (["prompt 0", "prompt 1"], [1])
    assert difference(TWICE, other, FIDELITY).mean == 0.125
    assert common_clips(TWICE, row("none", training([0.5, 0.5], seed=2))) is None


def test_only_prompts_that_both_have_are_compared() -> None:
    other = row("other", training([0.25, 0.5], prompts=["prompt 1", "prompt 7"]))
    assert common_clips(TWICE, other) == (["prompt 1"], [0])
    assert difference(TWICE, other, FIDELITY).mean == 0.5


def test_clips_of_one_prompt_count_once() -> None:
    """Prompt a has two clips and b one: the mean is that of 0.5 and 1."""
    some = row("some", training([0.25, 0.75, 1.0], prompts=["a", "a", "b"]))
    assert some.clips() == {"a": (1, 1), "b": (1,)}
    assert some.estimate(FIDELITY).mean == 0.75
    np.testing.assert_array_equal(some.cells(FIDELITY, ["b", "a"], [0]), [[1.0, 0.5]])


def test_seconds_are_the_trainings_means() -> None:
    both = row("both", training([1.0], train_seconds=10.0), training([1.0], train_seconds=20.0))
    assert both.train_seconds == 15.0
    assert BASE.train_seconds is None and not BASE.trained


def kept(seed: int, rank: int = 32, prompts: tuple[str, ...] = ()) -> Kept:
    return Kept(
        name="some/zeroscope/zigzag",
        settings={"objective": {"rank": rank}},
        torch="2",
        device="cpu",
        training=training([0.5, 0.123456], [1, 0], [0, 1], seed=seed, prompts=prompts),
    )


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Each clip in a line of its own, so that changes can be read."""
    file = tmp_path / "some.zeroscope.zigzag.0.json"
    write_kept(file, kept(0))
    assert read_kept(file) == Kept(
        **{
            **vars(kept(0)),
            "training": type(kept(0).training)(
                **{**vars(kept(0).training), "clips": tuple(kept(0).training.clips)}
            ),
        }
    )
    assert '["prompt 1", 1, 0.123456, 0, 1, "blue square white solid"]\n' in file.read_text()
    assert read_kept(tmp_path / "none.json") is None
    file.write_text('{"clips": []}')
    with pytest.raises(FormatError, match="is not a record of the benchmark"):
        read_kept(file)


def test_a_row_is_of_trainings_that_were_made_alike(tmp_path: Path) -> None:
    """Of four, one has another rank and one other prompts."""
    name = "some/zeroscope/zigzag"
    for one in (kept(0), kept(1, rank=2), kept(2), kept(3, prompts=("a", "b"))):
        write_kept(tmp_path / f"some.zeroscope.zigzag.{one.training.seed}.json", one)
    rows = kept_rows(tmp_path, ["other/zeroscope/zigzag", name])
    assert [one.seed for one in rows[name].trainings] == [0, 2]
    assert list(rows) == [name]


def test_earlier_rows_are_those_of_version_0_1_0() -> None:
    """8 prompts with 3 noises; two means as the report of that version printed them."""
    rows = earlier_rows()
    assert len(rows) == 42
    assert {len(one.clips()) for one in rows.values()} == {8}
    assert rows["motion-director/animatediff/zigzag"].clips().popitem()[1] == (101, 102, 103)
    shown = rows["motion-inversion-2d-1d/zeroscope/zigzag"]
    assert round(shown.estimate(FIDELITY).mean, 2) == 0.99
    assert round(shown.estimate(LEAKAGE).mean, 2) == 0.38


def test_ranks_and_their_intervals() -> None:
    """a is above b with every prompt, c above both or below both in turn: a is always before b, so
    that with 24 prompts a may be first or second, b second or third, c anything."""
    a = row("a", training([0.5] * 24, [1] * 24))
    b = row("b", training([0.4] * 24, [1] * 24))
    c = row("c", training([0.9, 0.0] * 12, [0] * 24))
    got = ranks([a, b, c], FIDELITY)
    assert [one.rank for one in got] == [1, 3, 2]  # means 0.5, 0.4, 0.45
    assert [(one.low, one.high) for one in got] == [(1, 2), (2, 3), (1, 3)]
    assert ranks([a, b, c], APPEARANCE) == [(1.5, 1.5, 1.5), (1.5, 1.5, 1.5), (3, 3, 3)]
    assert ranks([a, c], FIDELITY, lower_is_better=True)[0].rank == 2
