"""A run's plain records: settings.json, state.json and metrics.jsonl in the run folder, for panels
and for resuming.

Everything is JSON that any language reads: a number that is not finite is written as null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .errors import FormatError
from .events import StepDone
from .files import replacing

METRICS = "metrics.jsonl"  # in a run folder: a line for each step

RunState = Literal["running", "finished", "cancelled", "failed"]


def write_json(path: Path, value: object) -> None:
    """Writes the whole file or, after an error, leaves an older one; see `replacing`."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_state(run_folder: Path, state: RunState, *, step: int, total: int) -> None:
    """state.json: what the run is doing. A killed run leaves "running"; `step` is the last saved
    one there.
    """
    write_json(run_folder / "state.json", {"state": state, "step": step, "total": total})


def append_metrics(run_folder: Path, done: StepDone) -> None:
    """Adds one step to metrics.jsonl."""
    row = {
        "step": done.step,
        "losses": {name: _finite(value) for name, value in done.losses.items()},
        "learning_rate": done.learning_rate,
        "grad_norm": _finite(done.grad_norm),
        "seconds": done.seconds,
        "memory_bytes": done.memory_bytes,
    }
    with (run_folder / METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, sort_keys=True, allow_nan=False) + "\n")


def read_metrics(run_folder: Path, since: int = 0) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl after step `since`, in order; none if nothing has been logged.

    A last line that was cut short by a kill is left out. Raises FormatError if another line is not
    JSON.
    """
    path = run_folder / METRICS
    if not path.exists():
        return []
    whole_lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    try:
        rows = [json.loads(line) for line in whole_lines]
    except json.JSONDecodeError as error:
        raise FormatError(f"{path} is damaged: {error}. Start a new run folder.") from error
    return [row for row in rows if row["step"] > since]


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
