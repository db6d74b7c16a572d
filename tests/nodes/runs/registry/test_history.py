"""Histories: read once, kept thinned, read again when the metrics are others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from motion_adapters.nodes.runs.registry.curves import POINTS
from motion_adapters.nodes.runs.registry.history import HISTORY, METRICS, read_history, thin_history


def row(step: int, loss: float | None = 0.5, norm: float | None = 1.0) -> dict[str, Any]:
    return {
        "step": step,
        "losses": {"loss": loss},
        "learning_rate": 1e-4,
        "grad_norm": norm,
        "seconds": 0.25,
        "memory_bytes": 2**20,
    }


def write(folder: Path, rows: list[dict[str, Any]], tail: str = "") -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows) + tail
    (folder / METRICS).write_text(text, encoding="utf-8")


def test_all_rows_are_read_across_the_parts_that_are_parsed_at_once(tmp_path: Path) -> None:
    write(tmp_path, [row(step) for step in range(1, 2501)])
    curves, stats = read_history(tmp_path)
    assert list(curves.by_name["loss"].steps) == list(range(1, 2501))
    assert stats.seconds == 2500 * 0.25


@pytest.mark.parametrize("rows", [1, 999, 1000, 1001])
def test_a_last_line_that_a_kill_cut_short_is_left_out(tmp_path: Path, rows: int) -> None:
    write(tmp_path, [row(step) for step in range(1, rows + 1)], tail='{"step": 9')
    assert len(read_history(tmp_path)[0].by_name["loss"].steps) == rows


def test_what_a_resumed_run_does_again_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, [row(step, norm=None if step > 3 else 1.0) for step in range(1, 7)])
    curves, stats = read_history(tmp_path, last=3)
    assert list(curves.by_name["loss"].steps) == [1, 2, 3]
    assert stats.skipped == 0


def test_no_metrics_are_no_history(tmp_path: Path) -> None:
    assert thin_history(tmp_path)["curves"] == {}
    assert not (tmp_path / HISTORY).exists()


@pytest.mark.parametrize("line", ["nonsense", "5", "{}", '{"step": 1, "losses": 3}', "\xff"])
def test_a_damaged_line_costs_its_own_step_alone(tmp_path: Path, line: str) -> None:
    write(tmp_path, [row(1)], tail=f"{line}\n{json.dumps(row(3))}\n")
    curves, stats = read_history(tmp_path)
    assert list(curves.by_name["loss"].steps) == [1, 3]
    assert stats.seconds == 2 * 0.25
    assert thin_history(tmp_path)["curves"] == {"loss": [[1, 0.5], [3, 0.5]]}


def test_memory_now_and_at_its_peak(tmp_path: Path) -> None:
    """Rows of older versions have one number: now, and the highest of them the peak."""
    write(tmp_path, [row(1), {**row(2), "memory_bytes": 2**19}])
    shown = thin_history(tmp_path)
    assert (shown["memory"], shown["memory_peak"]) == (2**19, 2**20)
    write(tmp_path, [row(1), {**row(2), "memory_now_bytes": 2**18}])
    shown = thin_history(tmp_path)
    assert (shown["memory"], shown["memory_peak"]) == (2**18, 2**20)


def test_the_second_reading_takes_the_thin_one(tmp_path: Path) -> None:
    """The metrics are replaced by others of the same size and time: nobody reads them again."""
    write(tmp_path, [row(step) for step in range(1, 5001)])
    first = thin_history(tmp_path)
    assert len(first["curves"]["loss"]) == POINTS
    stat = (tmp_path / METRICS).stat()
    (tmp_path / METRICS).write_bytes(b" " * stat.st_size)
    os.utime(tmp_path / METRICS, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert thin_history(tmp_path) == json.loads(json.dumps(first))


def test_metrics_that_grew_are_read_again(tmp_path: Path) -> None:
    write(tmp_path, [row(1)])
    thin_history(tmp_path)
    write(tmp_path, [row(1), row(2)])
    assert [point[0] for point in thin_history(tmp_path)["curves"]["loss"]] == [1, 2]


@pytest.mark.parametrize("kept", ["{", "[]", '{"format": 99, "history": {}}'])
def test_a_damaged_or_newer_thin_history_is_made_anew(tmp_path: Path, kept: str) -> None:
    write(tmp_path, [row(1)])
    (tmp_path / HISTORY).write_text(kept)
    assert thin_history(tmp_path)["curves"] == {"loss": [[1, 0.5]]}
    assert json.loads((tmp_path / HISTORY).read_text())["format"] == 1


def test_a_folder_that_takes_no_file_is_read_all_the_same(tmp_path: Path) -> None:
    """Here a folder of the file's name is in the way, which also stops an administrator."""
    write(tmp_path, [row(1)])
    (tmp_path / HISTORY).mkdir()
    assert thin_history(tmp_path)["curves"] == {"loss": [[1, 0.5]]}
