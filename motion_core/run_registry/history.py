"""A past run's history: metrics.jsonl read once, and history.json beside it, thinned for a page.

metrics.jsonl grows by a row a step and takes the longer to read the longer the run was;
history.json, of at most POINTS points a curve, opens at once. It is made when a run ends, or when
someone looks at a run that a kill cut short, and says of which state of metrics.jsonl it is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import FormatError, MotionError
from ..files import replacing
from ..run_records import METRICS
from .curves import Curves
from .folder import read_object
from .stats import Stats

logger = logging.getLogger(__name__)

HISTORY = "history.json"
FORMAT = 1
_LINES = 1000

Version = list[int]


def read_history(folder: Path, last: float = float("inf")) -> tuple[Curves, Stats]:
    """All steps up to `last`. A last line that was cut short by a kill is left out. Raises
    FormatError if another line is not a row of metrics.
    """
    curves, stats = Curves(), Stats()
    path = folder / METRICS
    try:
        for row in _rows(path):
            if row["step"] <= last:
                curves.add(row["step"], row["losses"])
                stats.add_row(row)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"{path} is damaged: {error}. Start a new run folder.") from error
    return curves, stats


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """A thousand lines are parsed at once, which is faster than one by one and keeps few rows."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        while lines := list(islice(file, _LINES)):
            if not lines[-1].endswith("\n"):
                lines.pop()
            yield from json.loads(f"[{','.join(lines)}]")


def thin_history(folder: Path) -> dict[str, Any]:
    """The last steps' figures, the thinned curves and the seconds in steps; a damaged file of
    metrics gives none, and a message.
    """
    version = version_of(folder)
    kept = read_object(folder / HISTORY)
    if kept.get("format") == FORMAT and kept.get("of") == version:
        return kept["history"]
    try:
        curves, stats = read_history(folder)
    except FormatError as error:
        return {**Stats().shown(), "curves": {}, "seconds": 0.0, "message": str(error)}
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
