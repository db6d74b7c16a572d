"""How fast the panel is with a long history, and the Runs tab with many runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest
from motion_adapters.nodes.runs.registry.history import HISTORY, thin_history
from motion_adapters.nodes.runs.registry.registry import RunRegistry

from .registry_server import Queue, served
from .run_folders import write_run
from .site import FRAME, PAGE_READY, Site, marks_drawn, site_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LONG, MANY = 100_000, 300
FRAMES, FRAME_MS = 40, 60


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 100,000 steps with 2,000 checkpoints and 200 samples."""
    root = tmp_path_factory.mktemp("runs")
    samples = range(500, LONG + 1, 500)
    write_run(root, "long", steps=LONG, samples=samples, save_every=50, seed=-300)
    return root


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 runs, of which a person looks at the list."""
    root = tmp_path_factory.mktemp("many")
    for number in range(MANY):
        write_run(root, f"run-{number}", steps=20, seed=-number)
    return root


@pytest.fixture
def site(root: Path, browser: Browser) -> Iterator[Site]:
    with site_of(root, browser) as site:
        yield site


@pytest.mark.parametrize("read_before", [True, False], ids=["read before", "never read"])
def test_a_hundred_thousand_steps_open_in_a_second(
    browser: Browser, root: Path, read_before: bool
) -> None:
    """With 2,000 checkpoints and 200 samples, on a server that has just started. Of three times the
    best: what else the machine does can only add.
    """
    thin = root / "long" / HISTORY
    if read_before:
        thin_history(root / "long")
    times: list[float] = []
    for _ in range(3):
        if not read_before:
            thin.unlink(missing_ok=True)
        times.append(opened(browser, root, "run=long"))
    assert min(times) < 1000


def test_three_hundred_runs_are_listed_in_a_second(browser: Browser, many: Path) -> None:
    assert min(opened(browser, many, "") for _ in range(3)) < 1000


def opened(browser: Browser, root: Path, query: str) -> float:
    """Milliseconds that the page's main thread and the server work from the page's beginning until
    it shows everything: as `frames`, of the processor.
    """
    registry = RunRegistry(root, lambda message: None)
    with served(registry, Queue()) as address:
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.goto(f"{address}/i18n")  # a page of the same process, whose work does not count
        worked = main_thread(page)
        before = worked() + 1000 * time.process_time()
        page.goto(f"{address}/?{query}")
        page.wait_for_function(PAGE_READY)
        took = worked() + 1000 * time.process_time() - before
        assert page.locator("#tab [role=option]").count() == len(registry.runs())
        assert page.locator("#node .average").count() == (2 if query else 0)
        clock = page.evaluate("window.page.opened")
        print(f"{query or 'list'}: {took:.0f} ms of work; by the clock {clock:.0f} ms")  # noqa: T201
        page.close()
        return took


def main_thread(page: Page) -> Callable[[], float]:
    """Tells the milliseconds of the processor that the page's main thread has worked so far."""
    thread = page.context.new_cdp_session(page)
    thread.send("Performance.enable", {"timeDomain": "threadTicks"})

    def worked() -> float:
        metrics = thread.send("Performance.getMetrics")["metrics"]
        return next(1000 * each["value"] for each in metrics if each["name"] == "TaskDuration")

    return worked


def test_a_hundred_thousand_steps_grow_at_60_ms_a_frame(site: Site) -> None:
    """With 2,000 checkpoints, of which one a pixel is drawn, 200 samples, and a cursor."""
    page = site.open("run=long", width=1600)
    page.evaluate("document.querySelector('#node').style.width = '1200px'")
    assert marks_drawn(page)["checkpoint"] > 400
    page.locator("#node .chart").focus()
    page.keyboard.press("End")
    assert max(frames(page, "long")) < FRAME_MS
    assert page.evaluate("window.page.store.history('long').step") == LONG + FRAMES


def test_three_hundred_runs_are_drawn_at_60_ms_a_frame(browser: Browser, many: Path) -> None:
    """While the chosen one goes on, and when the list is read anew."""
    registry = RunRegistry(many, lambda message: None)
    queue = Queue()
    with served(registry, queue) as address:
        page = Site(address, registry, browser, queue).open("")
        page.locator("#tab [role=option]").first.click()
        page.locator("#tab .detail .average").first.wait_for(state="attached")
        assert max(frames(page, "run-0")) < FRAME_MS
        assert max(frames(page, "run-0", before="copyList()")) < FRAME_MS


def frames(page: Page, run: str, before: str = "") -> list[float]:
    """Milliseconds of the page's main thread for each of 40 messages of a run: to take it in, to
    draw, style, lay out and paint. Time of the processor, as other work on the machine would count
    in the clock's; that is printed too.
    """
    page.evaluate(FRAME)
    worked = main_thread(page)
    times: list[float] = []
    clock: list[float] = []
    for _ in range(FRAMES):
        start = worked()
        clock.append(page.evaluate(f"() => {{ {before}; return nextFrame('{run}') }}"))
        times.append(worked() - start)
    told = [f"median {median(each):.0f}, most {max(each):.0f} ms" for each in (times, clock)]
    print(f"{run}: a frame's work {told[0]}; by the clock {told[1]}")  # noqa: T201
    return times
