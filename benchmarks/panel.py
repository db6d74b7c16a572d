"""What the training panel costs the training, in a real ComfyUI with its real page.

`python -m benchmarks.panel` writes benchmarks/panel.json in about five minutes on two cores; it
needs what tests/browser needs (COMFYUI_PATH, COMFYUI_PYTHON, playwright, a Chromium).

One training goes on all the time: MotionDirector on shape world's AnimateDiff form, the shipped
workflow. The page with the panel is opened and closed in turn. The server has one core to itself
and the browser the other, as training has on a GPU: what the panel takes from the training is then
the processor time of the server's other threads, for the messages and the answers to the page's
questions. Seconds a step would say the same, but differ by 10 % from block to block on a shared
machine, with or without the page.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from playwright.sync_api import sync_playwright

from tests.browser.conftest import launched
from tests.browser.tab import Tab, workflow
from tests.comfyui.place import place
from tests.comfyui.server import Server, serve

SERVER_CORE, BROWSER_CORE = 0, 1
PAIRS = 4
BLOCK_SECONDS = 15.0
SETTLE_SECONDS = 5.0  # after the page was opened or closed, not counted
RESAMPLES = 10_000


class OtherThreads:
    """The processor time of a process's threads other than the one that trains: the busiest."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process

    def share(self, seconds: float) -> float:
        """Their part of one core in the time that follows now."""
        before = self._times()
        time.sleep(seconds)
        spent = [now - before.get(thread, 0.0) for thread, now in self._times().items()]
        return (sum(spent) - max(spent)) / seconds

    def _times(self) -> dict[int, float]:
        return {each.id: each.user_time + each.system_time for each in self._process.threads()}


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
    """Pairs of the other threads' shares, without and with the page. Every other pair begins with
    the page.
    """
    tab.drop(workflow(folder, "costs", steps=100_000, sample_every=0, save_every=0))
    tab.run()
    tab.until(lambda: tab.step() >= 2)
    tab.button("Sample now").click()
    tab.until(lambda: tab.sample() > 0)
    others = OtherThreads(psutil.Process(server.process.pid))
    for number in range(PAIRS):
        found = {shown: block(tab, others, shown) for shown in in_turn(number)}
        yield found[False], found[True]


def in_turn(number: int) -> tuple[bool, bool]:
    return (False, True) if number % 2 else (True, False)


def block(tab: Tab, others: OtherThreads, shown: bool) -> float:
    """Their share with the page shown, or with none."""
    if shown:
        tab.load()
        tab.look()
        tab.until(lambda: tab.step() > 0 and tab.sample() > 0)
    else:
        tab.page.goto("about:blank")
    time.sleep(SETTLE_SECONDS)
    return others.share(BLOCK_SECONDS)


def report(pairs: Sequence[tuple[float, float]]) -> dict[str, object]:
    """percent: of the training's core that the page takes: the median of the pairs, and an interval
    that holds 95 % of the medians of pairs drawn again with replacement.
    """
    without, shown = np.array(pairs).T
    percent = 100 * (shown - without)
    draws = np.random.default_rng(0).choice(percent, (RESAMPLES, len(percent)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return {
        "command": "python -m benchmarks.panel",
        "machine": platform.processor() or platform.machine(),
        "pairs": len(pairs),
        "percent": round(statistics.median(percent), 3),
        "percent_95": [round(low, 3), round(high, 3)],
        "percents": [round(value, 3) for value in percent],
    }


if __name__ == "__main__":
    main()
