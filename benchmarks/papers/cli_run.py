"""Carries out a benchmark and writes its report; several trainings may go side by side."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from motion_core.cli.device import chosen_device
from motion_core.cli.progress import TrainProgress
from motion_core.cli.run_folder import writable_folder
from motion_core.cli.side_by_side import side_by_side
from motion_core.cli.terminal import Terminal, say
from motion_core.events import Event, Started
from motion_core.files import replacing
from motion_core.training.records import write_json

from .claims import judge_claims
from .kept import EARLIER, earlier_rows, kept_rows
from .notes import EARLIER_NOTES, read_notes
from .page import page
from .paper_claims import CLAIMS
from .pictures import write_pictures
from .plans import default_plan, places_of
from .readme import fill
from .report import Report, record
from .rows import Plan, Unit
from .run import Bench
from .trainings import training_steps

PROCESSES = 4
"""At the most, where nothing is asked for."""
INTERRUPTED = 130
FAILED = 2


@dataclass(frozen=True, kw_only=True)
class Places:
    """output: of the report and the records. cache: of trainings. readme: that tells of them, None
    where none does.
    """

    output: Path
    cache: Path
    readme: Path | None = None

    @property
    def results(self) -> Path:
        """Pictures, and in `rows` a record for each training."""
        return self.output / "results"


def run_bench(
    plan: Plan, places: Places, *, device: str, command: str, processes: int | None = None
) -> int:
    """Measures what of the plan is not measured yet, and writes the report.

    command: as the report shows it. Returns the exit status: 0, 2 if rows failed, 130 after Ctrl-C;
    what is finished is kept in every case.
    """
    start = time.monotonic()
    with writable_folder(places.output), writable_folder(places.cache), Terminal() as terminal:
        try:
            failures = _measure(plan, places, device, processes, terminal)
        except KeyboardInterrupt:
            sys.stderr.write("stopped; finished rows are kept, and the same command resumes\n")
            return INTERRUPTED
        report = _report(plan, places, failures, device, command)
    for one in report.judged:
        say(f"{one.claim.key} on {one.backbone}, {one.motion}: {one.verdict}")
    took = time.monotonic() - start
    say(f"{len(report.results)} rows in {took:.0f} s; the report is {places.output / 'results.md'}")
    for name, reason in failures.items():
        sys.stderr.write(f"error: {name}: {reason}\n")
    return FAILED if failures else 0


def report_only(plan: Plan, places: Places, *, device: str, command: str) -> int:
    """Writes the report of what has been measured; returns the exit status, 0."""
    with writable_folder(places.output):
        report = _report(plan, places, {}, device, command)
    done = f"{report.done} of {len(plan.units)} trainings"
    say(f"{done}; the report is {places.output / 'results.md'}")
    return 0


def _report(
    plan: Plan, places: Places, failures: Mapping[str, str], device: str, command: str
) -> Report:
    """Writes results.json, results.md and the pictures."""
    bench = _bench(plan, places, device, Terminal(label="bench"))
    results = kept_rows(places.results / "rows", [row.name for row in plan.rows])
    asked = places_of(plan.rows)
    # Only the whole report stands beside what was measured before it.
    earlier = earlier_rows() if EARLIER.is_file() and plan == default_plan() else {}
    earlier_judged = judge_claims(CLAIMS, asked, earlier, read_notes(EARLIER_NOTES))
    pictures = write_pictures(bench, places.results)
    report = Report(
        command=command,
        plan=plan,
        results=results,
        judged=judge_claims(CLAIMS, asked, results, read_notes()),
        states=bench.states(),
        failures=failures,
        earlier=earlier,
        earlier_judged=earlier_judged,
        pictures={m: p.relative_to(places.output).as_posix() for m, p in pictures.items()},
    )
    write_json(places.output / "results.json", record(report))
    with replacing(places.output / "results.md") as partial:
        partial.write_text(page(report), encoding="utf-8")
    if places.readme:
        fill(places.readme, places.output / "results.json")
    return report


def _measure(
    plan: Plan, places: Places, device: str, processes: int | None, terminal: Terminal
) -> dict[str, str]:
    """Measures all rows; returns the reason by name for those that failed."""
    on_cpu = chosen_device(device).type == "cpu"
    usual = min(torch.get_num_threads(), PROCESSES) if on_cpu else 1
    shares = _shares(plan, processes or usual)
    if len(shares) == 1:
        return _bench(plan, places, device, terminal).run()
    each = side_by_side(_failures, [(share, places, device) for share in shares])
    return {name: reason for failures in each for name, reason in failures.items()}


def _shares(plan: Plan, count: int) -> list[Plan]:
    """The plan in at most `count` parts of about as many training steps, each in the plan's order;
    units that may share a training are together.
    """
    groups: dict[tuple[object, ...], list[Unit]] = {}
    for unit in plan.units:
        row = unit.row
        key = (row.backbone, row.motion, row.variant.method, unit.seed)
        groups.setdefault(key, []).append(unit)
    shares: list[list[Unit]] = [[] for _ in range(min(count, len(groups)))]
    for units in sorted(groups.values(), key=_steps, reverse=True):
        min(shares, key=_steps).extend(units)
    order = {unit.name: number for number, unit in enumerate(plan.units)}
    return [
        dataclasses.replace(plan, units=sorted(units, key=lambda unit: order[unit.name]))
        for units in shares
    ]


def _steps(units: Sequence[Unit]) -> int:
    """Of all trainings, if none is shared."""
    return sum(training_steps(unit.row) for unit in units if unit.row.variant.method)


def _failures(plan: Plan, places: Places, device: str) -> dict[str, str]:
    """In a process of several."""
    return _bench(plan, places, device, Terminal(label="bench")).run()


def _bench(plan: Plan, places: Places, device: str, terminal: Terminal) -> Bench:
    return Bench(
        plan,
        places.results / "rows",
        places.cache,
        chosen_device(device),
        terminal.line,
        _Progress(terminal),
    )


class _Progress:
    """One training after another on a terminal's line; a log has the rows alone."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.current = TrainProgress(terminal)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self.current = TrainProgress(self.terminal)
        if self.terminal.live:
            self.current(event)
