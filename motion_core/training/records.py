"""A run's plain records: settings.json, state.json and metrics.jsonl in the run folder, for panels
and for resuming.

Everything is JSON that any language reads: a number that is not finite is written as null.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from ..events import StepDone
from ..files import replacing

logger = logging.getLogger(__name__)

# In a run folder: what decides what is learned, what the run is doing, a line for each step.
SETTINGS, STATE, METRICS = "settings.json", "state.json", "metrics.jsonl"
_LINES = 1000

RunState = Literal["running", "finished", "cancelled", "failed"]


def write_json(path: Path, value: object) -> None:
    """Writes the whole file or, after an error, leaves an older one; see `replacing`."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object; empty if the file is missing or damaged: a list of runs must not fail for one
    of them.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_state(run_folder: Path, state: RunState, *, step: int, total: int) -> None:
    """state.json: what the run is doing. A killed run leaves "running"; `step` is the last saved
    one there.
    """
    write_json(run_folder / STATE, {"state": state, "step": step, "total": total})


def append_metrics(run_folder: Path, done: StepDone) -> None:
    """Adds one step to metrics.jsonl, which begins anew if someone has deleted its folder: a
    training is worth more than its record.
    """
    row = {
        "step": done.step,
        "losses": {name: _finite(value) for name, value in done.losses.items()},
        "learning_rate": done.learning_rate,
        "grad_norm": _finite(done.grad_norm),
        "seconds": done.seconds,
        "memory_bytes": done.memory_bytes,
        "memory_now_bytes": done.memory_now_bytes,
    }
    run_folder.mkdir(parents=True, exist_ok=True)
    with (run_folder / METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, sort_keys=True, allow_nan=False) + "\n")


def read_metrics(run_folder: Path, since: int = 0) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl after step `since`, in order; none if nothing has been logged."""
    return [row for row in metric_rows(run_folder) if row["step"] > since]


def metric_rows(run_folder: Path) -> Iterator[dict[str, Any]]:
    """One row after the other. A line that is none, cut short by a kill or damaged, is left out:
    the run is more than one of its steps.
    """
    path, left_out = run_folder / METRICS, 0
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        while lines := list(islice(file, _LINES)):
            if not lines[-1].endswith("\n"):
                lines.pop()
            for row in _parsed(lines):
                if _is_row(row):
                    yield row
                else:
                    left_out += 1
    if left_out:
        logger.warning("%s: %d damaged lines were skipped.", path, left_out)


def _parsed(lines: list[str]) -> list[Any]:
    """All at once, which is faster than one by one, if all are whole."""
    try:
        rows = json.loads(f"[{','.join(lines)}]")
    except ValueError:
        rows = []
    return rows if len(rows) == len(lines) else [_parsed_line(line) for line in lines]


def _parsed_line(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _is_row(row: Any) -> bool:
    """Long runs have a hundred thousand of them: adding up is the quickest way to find a value that
    is no number.
    """
    try:
        total = row["step"] + row["learning_rate"] + row["seconds"] + row["memory_bytes"]
        total += row["grad_norm"] or 0.0
        return isinstance(total, (int, float)) and isinstance(row["losses"], dict)
    except (TypeError, KeyError):
        return False


def truncate_metrics(run_folder: Path, step: int) -> None:
    """Forgets the steps after `step`, which a resumed run does again."""
    rows = [row for row in read_metrics(run_folder) if row["step"] <= step]
    lines = (json.dumps(row, sort_keys=True, allow_nan=False) + "\n" for row in rows)
    with replacing(run_folder / METRICS) as partial:
        partial.write_text("".join(lines), encoding="utf-8")


def loss_history(rows: list[dict[str, Any]]) -> Mapping[str, list[tuple[int, float]]]:
    """By term name, (step, loss) of the steps in which the term was computed."""
    history: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        for name, value in row["losses"].items():
            history.setdefault(name, []).append((row["step"], value))
    return history


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
