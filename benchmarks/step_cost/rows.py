"""The counted steps as they are kept: benchmarks/step_cost/counted.json.

A row has its case, exact totals, and for each operation its launches, FLOPs and bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .cases import Case
from .counting import Counted

PATH = Path(__file__).with_name("counted.json")
LIBRARIES = ("torch", "diffusers", "peft")
COMMAND = "python -m benchmarks.step_cost"


@dataclass(frozen=True)
class Row:
    """operations: launches, FLOPs and bytes of each. reads, writes: see `Waits`."""

    case: Case
    launches: int
    flops: int
    moved: int
    peak: int
    reads: int
    writes: int
    operations: Mapping[str, Sequence[int]]


def row_of(case: Case, counted: Counted) -> Row:
    total = counted.total
    return Row(
        case=case,
        launches=total.launches,
        flops=total.flops,
        moved=total.moved,
        peak=counted.peak,
        reads=counted.waits.reads,
        writes=counted.waits.writes,
        operations={n: list(astuple(cost)) for n, cost in sorted(counted.operations.items())},
    )


def read_rows(path: Path = PATH) -> dict[Case, Row]:
    """By case; none if there is no file."""
    if not path.exists():
        return {}
    kept = json.loads(path.read_text("utf-8"))["rows"]
    rows = [Row(**{**row, "case": Case(**row["case"])}) for row in kept]
    return {row.case: row for row in rows}


def write_rows(rows: Iterable[Row], path: Path = PATH) -> None:
    """A row a line, so that a change shows which."""
    lines = ",\n".join(json.dumps(asdict(row)) for row in rows)
    head = json.dumps({"command": COMMAND, "versions": versions()})[1:-1]
    path.write_text(f'{{{head}, "rows": [\n{lines}\n]}}\n', "utf-8")


def versions() -> dict[str, str]:
    """Of the libraries that decide which operations there are."""
    return {library: version(library) for library in LIBRARIES}


def kept_versions(path: Path = PATH) -> dict[str, str]:
    """Those that the rows were counted with."""
    kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return kept["versions"]


def differences(before: Row, after: Row) -> list[str]:
    """What has changed, in words: the totals, then each operation, the one with the most bytes
    first.
    """
    names = ("launches", "flops", "moved", "peak", "reads", "writes")
    lines = [
        f"{name}: {getattr(before, name):,} → {getattr(after, name):,}"
        for name in names
        if getattr(before, name) != getattr(after, name)
    ]
    changed = []
    for name in {**before.operations, **after.operations}:
        old, new = (row.operations.get(name, (0, 0, 0)) for row in (before, after))
        launches, flops, moved = (now - then for then, now in zip(old, new, strict=True))
        if launches or flops or moved:
            changed.append((name, launches, flops, moved))
    changed.sort(key=lambda change: -abs(change[-1]))
    return lines + [
        f"{name}: {launches:+,} launches, {flops:+,} FLOPs, {moved:+,} bytes"
        for name, launches, flops, moved in changed
    ]
