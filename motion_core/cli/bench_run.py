"""Carries out a benchmark and writes its report."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ..bench.claims import judge_claims
from ..bench.notes import read_notes
from ..bench.paper_claims import CLAIMS
from ..bench.pictures import write_pictures
from ..bench.plans import places_of
from ..bench.report import page, record
from ..bench.rows import Plan
from ..bench.run import Bench
from ..events import Event, Started
from ..files import replacing
from ..run_records import write_json
from .device import chosen_device
from .progress import TrainProgress
from .run_folder import writable_folder
from .terminal import Terminal, say

INTERRUPTED = 130
FAILED = 2


def run_bench(plan: Plan, output: Path, cache: Path, *, device: str, command: str) -> int:
    """Measures the plan's rows and writes results.json, results.md and pictures into `output`.

    command: as the report shows it. Returns the exit status: 0, 2 if rows failed, 130 after Ctrl-C;
    what is finished is kept in every case.
    """
    start = time.monotonic()
    with writable_folder(output), writable_folder(cache), Terminal() as terminal:
        bench = Bench(plan, cache, chosen_device(device), terminal.line, _Progress(terminal))
        try:
            results, failures = bench.run()
        except KeyboardInterrupt:
            sys.stderr.write("stopped; finished rows are kept, and the same command goes on\n")
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
