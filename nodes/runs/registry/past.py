"""A run that no thread of this process trains, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ....motion_core.training.records import STATE, read_object
from .curves import Point
from .record import RunRecord, read_record

OVER = ("finished", "cancelled", "paused", "failed")


def past_state(folder: Path) -> dict[str, Any]:
    """state, step and total. A run that is not over on the disk was interrupted by a crash or a
    restart.

    run.json counts where there is one: the trainer's state.json is "finished" after the last step,
    when samples and adapter are still to come.
    """
    run, saved = read_record(folder), read_object(folder / STATE)
    told = saved.get("state") if run is None else run.state
    state = told if told in OVER else "interrupted"
    return {"state": state, "step": saved.get("step", 0), "total": saved.get("total", 0)}


def past_summary(folder: Path) -> dict[str, Any]:
    """As `LiveRun.summary`, without the figures of steps."""
    made = folder.stat().st_mtime
    record = read_record(folder) or RunRecord(began=made, latest=made)
    return {
        **asdict(record),
        **past_state(folder),
        "id": folder.name,
        "asked": [],
        "doing": "",
    }


def after(curves: Mapping[str, Sequence[Point]], step: int) -> dict[str, list[Point]]:
    """The points after a step."""
    return {name: [p for p in points if p[0] > step] for name, points in curves.items()}
