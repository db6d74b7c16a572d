"""A run that no thread of this process trains, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .curves import Point
from .folder import RUN, STATE, read_object

OVER = ("finished", "cancelled", "paused", "failed")


def past_state(folder: Path) -> dict[str, Any]:
    """state, step and total. A run that is not over on the disk was interrupted by a crash or a
    restart.
    """
    run, saved = read_object(folder / RUN), read_object(folder / STATE)
    told = [record.get("state") for record in (run, saved)]
    state = next((state for state in told if state in OVER), "interrupted")
    return {"state": state, "step": saved.get("step", 0), "total": saved.get("total", 0)}


def past_summary(folder: Path) -> dict[str, Any]:
    """As `LiveRun.summary`, without the figures of steps."""
    run = read_object(folder / RUN)
    return {
        "id": folder.name,
        **past_state(folder),
        "part": run.get("part", 1),
        "node_id": run.get("node_id", ""),
        "workflow_id": run.get("workflow_id", ""),
        "prompt_id": run.get("prompt_id", ""),
        "title": run.get("title", ""),
        "nodes": run.get("nodes", []),
        "began": run.get("began", folder.stat().st_mtime),
        "latest": run.get("latest", folder.stat().st_mtime),
        "elapsed": run.get("elapsed"),
        "asked": [],
        "doing": "",
        "saved_as": run.get("saved_as", []),
        "message": run.get("message", ""),
        "memory_total": run.get("memory_total", 0),
    }


def after(curves: Mapping[str, Sequence[Point]], step: int) -> dict[str, list[Point]]:
    """The points after a step."""
    return {name: [p for p in points if p[0] > step] for name, points in curves.items()}
