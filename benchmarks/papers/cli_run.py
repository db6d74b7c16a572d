"""Carries out a benchmark and writes its report. Without a GPU trainings go side by side."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from motion_core.bases import base_defaults
from motion_core.cli.device import chosen_device
from motion_core.cli.progress import TrainProgress
from motion_core.cli.run_folder import writable_folder
from motion_core.cli.side_by_side import side_by_side
from motion_core.cli.terminal import Terminal, say
from motion_core.events import Event, Started
from motion_core.files import replacing
from motion_core.methods import METHODS
from motion_core.methods.defaults import ONE_VIDEO
from motion_core.training.records import write_json
from motion_core.training.suited import suited

from .claims import judge_claims
from .notes import read_notes
from .paper_claims import CLAIMS
from .pictures import write_pictures
from .plans import places_of
from .report import page, record
from .rows import BASES, Plan, Row
from .run import Bench

PROCESSES = 4
"""At the most: each takes about 2 GB."""
INTERRUPTED = 130
FAILED = 2


def run_bench(plan: Plan, output: Path, cache: Path, *, device: str, command: str) -> int:
    """Measures the plan's rows and writes results.json, results.md and pictures into `output`.

    command: as the report shows it. Returns the exit status: 0, 2 if rows failed, 130 after Ctrl-C;
    what is finished is kept in every case.
    """
    start = time.monotonic()
    with writable_folder(output), writable_folder(cache), Terminal() as terminal:
        try:
            failures = _measure(plan, cache, device, terminal)
            bench = _finished(plan, failures, cache, device)
            results, _ = bench.run()
        except KeyboardInterrupt:
            sys.stderr.write("stopped; finished rows are kept, and the same command resumes\n")
            return INTERRUPTED
        judged = judge_claims(CLAIMS, places_of(plan.rows), results, read_notes())
        seconds = time.monotonic() - start
        facts = record(plan, results, failures, judged, command=command, seconds=seconds)
        write_json(output / "results.json", facts)
        pictures = write_pictures(bench, results, output / "results")
        links = {motion: path.relative_to(output).as_posix() for motion, path in pictures.items()}
        text = page(plan, results, failures, judged, facts, links)
        with replacing(output / "results.md") as partial:
            partial.write_text(text, encoding="utf-8")
    for one in judged:
        say(f"{one.claim.key} on {one.backbone}, {one.motion}: {one.finding.verdict}")
    say(f"{len(results)} rows in {seconds:.0f} s; the report is {output / 'results.md'}")
    for name, reason in failures.items():
        sys.stderr.write(f"error: {name}: {reason}\n")
    return FAILED if failures else 0


def _measure(plan: Plan, cache: Path, device: str, terminal: Terminal) -> dict[str, str]:
    """Measures all rows into the cache; returns the reason by name for those that failed."""
    shares = _shares(plan, min(torch.get_num_threads(), PROCESSES))
    if chosen_device(device).type != "cpu" or len(shares) == 1:
        return _failures(plan, cache, device, terminal)
    each = side_by_side(_failures, [(share, cache, device) for share in shares])
    return {name: reason for failures in each for name, reason in failures.items()}


def _shares(plan: Plan, count: int) -> list[Plan]:
    """The plan in at most `count` parts of about as many training steps; rows that may share a
    training are together and in their order.
    """
    groups: dict[tuple[str, str, str | None], list[Row]] = {}
    for row in plan.rows:
        groups.setdefault((row.backbone, row.motion, row.variant.method), []).append(row)
    shares: list[list[Row]] = [[] for _ in range(min(count, len(groups)))]
    for rows in sorted(groups.values(), key=_steps, reverse=True):
        min(shares, key=_steps).extend(rows)
    return [dataclasses.replace(plan, rows=rows) for rows in shares]


def _steps(rows: Sequence[Row]) -> int:
    """Of all trainings, if no row shares one."""
    return sum(
        _default_steps(row.variant.method, BASES[row.backbone])
        for row in rows
        if row.variant.method
    )


def _default_steps(method: str, base: str) -> int:
    return suited(METHODS[method], base_defaults(base), ONE_VIDEO).train["steps"]


def _failures(
    plan: Plan, cache: Path, device: str, terminal: Terminal | None = None
) -> dict[str, str]:
    """terminal: None makes one that shares the screen, in a process of several."""
    terminal = terminal or Terminal(label="bench")
    bench = Bench(plan, cache, chosen_device(device), terminal.line, _Progress(terminal))
    _, failures = bench.run()
    return failures


def _finished(plan: Plan, failures: Mapping[str, str], cache: Path, device: str) -> Bench:
    """The rows that lie in the cache, to be read without a word."""
    rows = [row for row in plan.rows if row.name not in failures]
    plan = dataclasses.replace(plan, rows=rows)
    return Bench(plan, cache, chosen_device(device), lambda _line: None, lambda _event: None)


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
