"""The panel's page without ComfyUI, opened in the browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motion_adapters.nodes.runs.registry.registry import RunRegistry

from .registry_server import Queue, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PANEL = "#node .motion-adapters-panel"
PAGE_READY = "window.page?.opened !== undefined"


class Site:
    """The page's address, its registry and queue, and pages that are open in the browser."""

    def __init__(self, address: str, registry: RunRegistry, browser: Browser, queue: Queue) -> None:
        self.address, self.registry, self.browser = address, registry, browser
        self.faults: list[str] = []
        self.queue = queue

    def open(self, query: str, width: int = 1300, **settings: Any) -> Page:
        page = self.browser.new_page(viewport={"width": width, "height": 1000}, **settings)
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.goto(f"{self.address}/?{query}")
        page.wait_for_function(PAGE_READY)
        return page


@contextmanager
def site_of(root: Path, browser: Browser) -> Iterator[Site]:
    """The page on the runs of a folder; afterwards all its pages are closed, and none had an
    error.
    """
    registry, queue = RunRegistry(root, lambda message: None), Queue()
    with served(registry, queue) as address:
        site = Site(address, registry, browser, queue)
        yield site
        for context in browser.contexts:
            context.close()
    assert site.faults == []


def lines(page: Page) -> str:
    return page.locator(PANEL).inner_text()


def marks_drawn(page: Page) -> dict[str, int]:
    """How many marks of each kind; a kind is one path."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('#node .marks *')].map((path) =>
             [path.getAttribute('class'), path.getAttribute('d').split('M').length - 1]))"""
    )


# A message that comes in, and the milliseconds until the frame that shows it is painted.
FRAME = """() => {
  const { store } = window.page
  const message = (run) => {
    const { id, state, part, step, samples, checkpoints, resumes } = run
    const counts = { samples: samples.length, checkpoints: checkpoints.length, resumes: resumes.length }
    const points = { temporal: [[step + 1, 0.3]], spatial: [[step + 1, 0.03]] }
    return { id, state, part, step: step + 1, since: step, counts, points }
  }
  window.copyList = () => {
    store.summaries = new Map([...store.summaries].map(([id, run]) => [id, { ...run }]))
  }
  window.nextFrame = (id) => new Promise((done) => {
    const start = performance.now()
    store.receive(message(store.history(id)))
    const received = performance.now() - start
    requestAnimationFrame((frame) => {
      setTimeout(() => done(received + performance.now() - frame))
    })
  })
}"""  # noqa: E501
