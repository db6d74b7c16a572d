"""What the training panel costs the training, in a real ComfyUI with its real page.

`python -m benchmarks.panel` writes benchmarks/panel.json in about ten minutes on two
cores; it needs what tests/browser needs (COMFYUI_PATH, COMFYUI_PYTHON, playwright, a Chromium).

One training goes on all the time: MotionDirector on shape world's AnimateDiff form, the shipped
workflow. The page with the panel is opened and closed in turn, so that each block of steps with it
has a neighbour without it. The server has one core to itself and the browser the other, as training
has on a GPU: what is left for the panel to cost is the messages, the answers to the page's
questions, and the interpreter's lock that they share with the training.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from motion_core.run_records import METRICS
from tests.browser.conftest import launched
from tests.browser.tab import Tab, workflow
from tests.comfyui.place import place
from tests.comfyui.server import Server, serve

SERVER_CORE, BROWSER_CORE = 0, 1
PAIRS = 10
BLOCK_SECONDS = 20.0
SETTLE_SECONDS = 5.0  # after the page was opened or closed, not counted
RESAMPLES = 10_000


class StepTimes:
    """When each step's line came into the run's metrics, to 5 ms: a thread that looks."""

    def __init__(self, metrics: Path) -> None:
        self.times: list[float] = []
        self._metrics = metrics
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        with self._metrics.open("rb") as file:
            while True:
                new, now = file.read().count(b"\n"), time.monotonic()
                self.times.extend([now] * new)
                time.sleep(0.005)

    def step_seconds(self, block_seconds: float) -> float:
        """The mean of the steps in the time that follows now."""
        first = len(self.times)
        time.sleep(block_seconds)
        times = self.times[first:]
        return (times[-1] - times[0]) / (len(times) - 1)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        with on_core(SERVER_CORE), serve(place(os.environ), Path(folder)) as server:
            with on_core(BROWSER_CORE):
                browser = launched(playwright)
                pairs = list(measured(Tab(browser, server), server, Path(folder)))
                browser.close()
    Path(__file__).with_suffix(".json").write_text(json.dumps(report(pairs), indent=2) + "\n")


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Processes that are started meanwhile, and this thread, run on this core alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measured(tab: Tab, server: Server, folder: Path) -> Iterator[tuple[float, float]]:
    """Pairs of seconds a step, without and with the page. Every other pair begins with the page."""
    tab.drop(workflow(folder, "costs", steps=100_000, sample_every=0, save_every=0))
    tab.run()
    tab.until(lambda: tab.step() >= 2)
    tab.button("Sample now").click()
    tab.until(lambda: tab.sample() > 0)
    (metrics,) = (server.output / "motion_training").glob(f"*/{METRICS}")
    steps = StepTimes(metrics)
    for number in range(PAIRS):
        found = {shown: block(tab, steps, shown) for shown in in_turn(number)}
        yield found[False], found[True]


def in_turn(number: int) -> tuple[bool, bool]:
    return (False, True) if number % 2 else (True, False)


def block(tab: Tab, steps: StepTimes, shown: bool) -> float:
    """Seconds a step with the page shown, or with none."""
    if shown:
        tab.load()
        tab.look()
        tab.until(lambda: tab.step() > 0 and tab.sample() > 0)
    else:
        tab.page.goto("about:blank")
    time.sleep(SETTLE_SECONDS)
    return steps.step_seconds(BLOCK_SECONDS)


def report(pairs: Sequence[tuple[float, float]]) -> dict[str, object]:
    """percent: how much longer steps are with the page: the median of the pairs, and an interval
    that holds 95 % of the medians of pairs drawn again with replacement.
    """
    without, shown = np.array(pairs).T
    percent = 100 * (shown / without - 1)
    draws = np.random.default_rng(0).choice(percent, (RESAMPLES, len(percent)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return {
        "command": "python -m benchmarks.panel",
        "machine": platform.processor() or platform.machine(),
        "pairs": len(pairs),
        "step_ms_without": 1000 * statistics.median(without),
        "step_ms_with": 1000 * statistics.median(shown),
        "percent": statistics.median(percent),
        "percent_95": [low, high],
        "percents": [round(value, 3) for value in percent],
    }


if __name__ == "__main__":
    main()
