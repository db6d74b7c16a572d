"""A past run's history: metrics.jsonl read once, and history.json beside it, thinned for a page.

metrics.jsonl grows by a row a step and takes the longer to read the longer the run was;
history.json, of at most POINTS points a curve, opens at once. It is made when a run ends, or when
someone looks at a run that a kill cut short, and says of which state of metrics.jsonl it is.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from ....motion_core.errors import MotionError
from ....motion_core.files import replacing
from ....motion_core.training.records import METRICS, metric_rows, read_object
from .curves import Curves
from .stats import Stats

logger = logging.getLogger(__name__)

HISTORY = "history.json"
FORMAT = 1

Version = list[int]


def read_history(folder: Path, last: float = float("inf")) -> tuple[Curves, Stats]:
    """All steps up to `last`."""
    curves, stats = Curves(), Stats()
    for row in metric_rows(folder):
        if row["step"] <= last:
            curves.add(row["step"], row["losses"])
            stats.add_row(row)
    return curves, stats


def thin_history(folder: Path) -> dict[str, Any]:
    """The last steps' figures, the thinned curves and the seconds in steps."""
    version = version_of(folder)
    kept = read_object(folder / HISTORY)
    if kept.get("format") == FORMAT and kept.get("of") == version:
        return kept["history"]
    curves, stats = read_history(folder)
    history = {**stats.shown(), "curves": curves.since(0), "seconds": stats.seconds}
    if version != [0, 0]:
        _keep(folder / HISTORY, {"format": FORMAT, "of": version, "history": history})
    return history


def version_of(folder: Path) -> Version:
    """Tells one state of metrics.jsonl from another: time and size; zeros if there is none."""
    path = folder / METRICS
    if not path.exists():
        return [0, 0]
    stat = path.stat()
    return [stat.st_mtime_ns, stat.st_size]


def _keep(path: Path, value: dict[str, Any]) -> None:
    """Without it the next opening takes longer, which is no reason to fail."""
    try:
        with replacing(path) as partial:
            partial.write_text(json.dumps(value), encoding="utf-8")
    except MotionError as error:
        logger.warning("Motion Adapters: %s", error)
