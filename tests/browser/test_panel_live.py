"""The panel while a run goes on: what comes in is shown, what is asked for is done."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from motion_adapters.nodes.runs.registry.folder import RunOrigin

from motion_core.events import Cancelled, CancelRun, Request, Started, StepDone, StopRun

from .run_folders import write_run
from .site import Site, lines, site_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_run(tmp_path, "zigzag", steps=300, samples=(100, 200, 300))
    return tmp_path


@pytest.fixture
def site(root: Path, browser: Browser) -> Iterator[Site]:
    with site_of(root, browser) as site:
        yield site


def test_a_run_in_progress_grows_and_is_stopped(site: Site, root: Path) -> None:
    origin = RunOrigin(node_id="live", prompt_id="p", title="live", workflow_id="page")
    with site.registry.watch(root / "live", origin) as run:
        run(Started(step=0, total=50, resumed=False, settings={}))
        for step in range(1, 11):
            run(step_done(step))
        page = site.open("run=live&poll")
        assert "Training" in lines(page) and "10 / 50" in lines(page)
        assert re.search("0:(10|09) left", lines(page))  # 40 steps of 0.25 s, less what passed
        for step in range(11, 21):
            run(step_done(step))
        page.wait_for_function("document.querySelector('#node .steps').textContent === '20 / 50'")
        stop = page.locator("#node").get_by_role("button", name="Stop & keep")
        stop.click()
        page.wait_for_function("document.querySelector('#node .stop').disabled")
        with pytest.raises(StopRun):
            run(step_done(21))
        run.adapter_saved("live.safetensors")
    page.wait_for_function(
        "document.querySelector('#node .saved').textContent === 'Saved as live.safetensors'"
    )
    site.registry.delete("live")


def test_save_and_sample_are_asked_for_and_pause_once(site: Site, root: Path) -> None:
    """Each click reaches the trainer after its next step; a double click on pause queues once."""
    origin = RunOrigin(node_id="asked", prompt_id="p", title="asked", workflow_id="page")
    prompt = {"output": {"asked": {"class_type": "T", "inputs": {}}}, "workflow": {}}
    with site.registry.watch(root / "asked", origin, prompt) as run:
        run(Started(step=0, total=50, resumed=False, settings={}))
        run(step_done(1))
        page = site.open("run=asked&poll")
        panel = page.locator("#node")
        for step, name, request in (
            (2, "Save now", Request.SAVE),
            (3, "Sample now", Request.SAMPLE),
        ):
            button = panel.get_by_role("button", name=name)
            button.click()
            page.wait_for_function(
                "(name) => document.querySelector(`#node .${name}`).disabled",
                arg=name.split()[0].lower(),
            )
            until(lambda: site.registry.run("asked")["asked"] != [])
            assert run(step_done(step)) == request
            page.wait_for_function(
                f"document.querySelector('#node .steps').textContent[0] === '{step}'"
            )
        panel.get_by_role("button", name="Pause & yield").dblclick()
        page.wait_for_function("window.page.done.queued.length")
        page.wait_for_timeout(500)
        assert page.evaluate("window.page.done.queued.length") == 1
        assert [word[0] for word in page.evaluate("window.page.done.said")] == ["info"]
        with pytest.raises(CancelRun):
            run(step_done(4))
        run(Cancelled(step=4, path=root / "asked"))
    page.wait_for_function("document.querySelector('#node .state').textContent === 'Paused'")
    site.registry.delete("asked")


def test_times_go_on_between_two_messages(site: Site, root: Path) -> None:
    """While the first clip is encoded nothing is told for long; and after the end nothing ticks."""
    origin = RunOrigin(node_id="slow", prompt_id="p", title="slow", workflow_id="page")
    with site.registry.watch(root / "slow", origin) as run:
        run.begins("encoding")
        page = site.open("run=slow")
        before = page.locator("#node .times").inner_text()
        page.wait_for_function(
            "(before) => document.querySelector('#node .times').innerText !== before", arg=before
        )
        assert "encoding" in page.locator("#node").inner_text()
    page.evaluate("window.page.store.refresh()")
    page.wait_for_function("document.querySelector('#node .state').textContent === 'Finished'")
    page.wait_for_timeout(1500)  # for what is due
    page.evaluate(
        """() => {
          const { views } = window.page
          const draw = views.draw.bind(views)
          window.drawn = 0
          views.draw = () => (window.drawn += 1, draw())
        }"""
    )
    page.wait_for_timeout(2500)
    assert page.evaluate("window.drawn") == 0
    site.registry.delete("slow")


def test_an_adapter_that_a_poll_tells_of_refreshes_the_lists(site: Site, root: Path) -> None:
    page = site.open("run=zigzag")
    assert page.evaluate("window.page.done.refreshed") == 0
    write_run(root, "new", steps=5, seed=-60)
    page.evaluate("window.page.store.refresh()")
    page.wait_for_function("window.page.done.refreshed === 1")
    page.evaluate("window.page.store.refresh()")
    assert page.evaluate("window.page.done.refreshed") == 1
    site.registry.delete("new")


def test_a_hidden_page_asks_nothing_until_it_is_seen(site: Site, root: Path) -> None:
    page = site.open("run=zigzag&poll")
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.wait_for_timeout(500)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(1000)
    assert asked == []
    write_run(root, "meanwhile", steps=5, seed=-70)
    page.evaluate("delete document.hidden, document.dispatchEvent(new Event('visibilitychange'))")
    page.locator("#tab").get_by_role("option", name="meanwhile").wait_for()
    site.registry.delete("meanwhile")


def test_a_run_that_cannot_be_read_is_not_the_servers_fault(site: Site, root: Path) -> None:
    folder = write_run(root, "vanishing", steps=5, seed=-90)
    page = site.open("run=zigzag")
    tab = page.locator("#tab")
    tab.get_by_role("option", name="vanishing").wait_for()
    shutil.rmtree(folder)
    tab.get_by_role("option", name="vanishing").click()
    tab.get_by_text("This run could not be read").wait_for()
    assert not page.locator("#node .error").is_visible()


def test_a_run_that_was_stopped_and_kept_can_go_on(site: Site, root: Path) -> None:
    folder = write_run(root, "kept", steps=5, total=9, seed=-95)
    site.registry.run("kept")
    page = site.open("run=kept")
    assert "Stopped and kept" in lines(page)
    page.evaluate(CAN_RESUME, "kept")
    resume = page.locator("#node").get_by_role("button", name="Resume")
    resume.wait_for()
    assert page.locator("#node").get_by_role("button", name="Add apply workflow").is_visible()
    assert "The file already saved stays." in (resume.get_attribute("title") or "")
    shutil.rmtree(folder)


# As a server answers that offers to go on with a run that was kept.
CAN_RESUME = """(id) => {
  const { store, views } = window.page
  store.take({ ...store.history(id), can_resume: true })
  views.redraw()
}"""


def until(what: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def step_done(step: int) -> StepDone:
    return StepDone(
        step=step,
        total=50,
        losses={"temporal": 1 / step},
        learning_rate=1e-4,
        grad_norm=1.0,
        seconds=0.25,
        memory_bytes=2**30,
    )
