"""The training panel in a real ComfyUI with its real page, by clicks as a person makes them.

With SCREENSHOTS=1 the pictures of docs/ are taken anew.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.comfyui.place import REPOSITORY, ComfyPlace, missing, place
from tests.comfyui.server import PACK, Server, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.timeout(900)

WORKFLOW = REPOSITORY / "workflows" / "sample-base-motion-director.json"
PICTURES = REPOSITORY / "docs"
STARTED = "window.app?.extensionManager && window.app.canvas?.graph"
LONG_MS = 240_000
# What a person does with a file: drags it onto the graph.
DROP = """({ text, name }) => {
  const files = new DataTransfer()
  files.items.add(new File([text], name, { type: 'application/json' }))
  const canvas = document.querySelector('#graph-canvas')
  const at = { dataTransfer: files, bubbles: true, cancelable: true, clientX: 600, clientY: 400 }
  canvas.dispatchEvent(new DragEvent('dragover', at))
  canvas.dispatchEvent(new DragEvent('drop', at))
}"""


@pytest.fixture(scope="module")
def comfyui() -> ComfyPlace:
    problem = missing(os.environ)
    if problem:
        pytest.fail(problem)
    return place(os.environ)


@pytest.fixture(scope="module")
def server(comfyui: ComfyPlace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(comfyui, tmp_path_factory.mktemp("comfyui")) as running:
        yield running


class Tab:
    """A page of ComfyUI."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self.page: Page = browser.new_page(viewport={"width": 1600, "height": 1100})
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        server.post("/settings", {"Comfy.TutorialCompleted": True})
        self.address = f"http://{server.address}/"
        self.load()

    def load(self) -> None:
        self.page.goto(self.address, timeout=LONG_MS)
        self.page.wait_for_function(STARTED, timeout=LONG_MS)

    def drop(self, path: Path) -> None:
        self.page.evaluate(DROP, {"text": path.read_text(), "name": path.name})
        self.panel.wait_for(state="attached", timeout=LONG_MS)
        self.page.evaluate(FIT)

    def run(self) -> None:
        self.page.get_by_role("button", name="Run", exact=True).first.click()

    @property
    def panel(self) -> Locator:
        return self.page.locator(".motion-adapters-panel").first

    def button(self, name: str) -> Locator:
        return self.panel.get_by_role("button", name=name)

    def text_of(self, part: str) -> str:
        return self.panel.locator(part).first.text_content() or ""

    def step(self) -> int:
        digits = self.text_of(".steps").partition("/")[0].replace(",", "").strip()
        return int(digits) if digits.isdigit() else 0

    def until(self, what: Callable[[], bool], seconds: float = 300.0) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, self.panel.inner_text()
            self.page.wait_for_timeout(200)

    def picture(self, name: str) -> None:
        if os.environ.get("SCREENSHOTS"):
            self.page.screenshot(path=PICTURES / name)


# Brings the training node into view at a size at which all of it can be read.
FIT = """() => {
  const node = window.app.rootGraph.nodes.find((n) => n.type === 'TrainMotionAdapter')
  const right = window.app.rootGraph.nodes.filter((n) => n.pos[0] > node.pos[0])
  for (const other of right) other.pos = [other.pos[0] + 640 - node.size[0], other.pos[1]]
  node.setSize([640, Math.max(node.size[1], 1120)])
  window.app.canvas.ds.scale = 0.8
  window.app.canvas.ds.offset = [140 - node.pos[0], 90 - node.pos[1]]
  window.app.canvas.setDirty(true, true)
}"""


def workflow(folder: Path, name: str, **changed: Any) -> Path:
    """The shipped workflow with a few widgets of the training node changed, by position."""
    graph = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    graph["id"] = f"00000000-0000-4000-8000-{abs(hash(name)) % 10**12:012d}"
    (node,) = [node for node in graph["nodes"] if node["type"] == "TrainMotionAdapter"]
    values = node["widgets_values"]
    places = {"steps": 4, "sample_every": 10, "save_every": 11, "inversion_steps": 12, "name": 13}
    for widget, value in {"inversion_steps": 2, "name": name, **changed}.items():
        values[places[widget]] = value
    path = folder / f"{name}.json"
    path.write_text(json.dumps(graph), encoding="utf-8")
    return path


def test_a_person_trains_reloads_stops_and_finds_the_adapter(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    tab = Tab(browser, server)
    tab.drop(workflow(tmp_path, "watched", steps=400, sample_every=4, save_every=5))
    assert "No run yet" in tab.panel.inner_text()
    tab.run()
    tab.until(lambda: tab.step() >= 2)
    assert tab.text_of(".state") == "Training"
    before = tab.panel.locator(".average").first.get_attribute("d") or ""
    tab.until(lambda: "Sample after step" in tab.text_of(".sample figcaption"))
    tab.until(lambda: (tab.panel.locator(".average").first.get_attribute("d") or "") != before)
    tab.picture("training-panel.png")

    step = tab.step()
    tab.load()
    started = time.monotonic()
    tab.until(lambda: tab.panel.count() > 0 and tab.step() >= step)
    tab.until(lambda: "Sample after step" in tab.text_of(".sample figcaption"))
    seconds = time.monotonic() - started
    assert curve_steps(tab)[0] == 1

    second = Tab(browser, server)
    second.drop(workflow(tmp_path, "watched", steps=400, sample_every=4, save_every=5))
    second.until(lambda: second.step() >= tab.step())

    tab.button("Stop & keep").click()
    tab.until(lambda: "Saved as watched.safetensors" in tab.text_of(".saved"))
    tab.until(lambda: tab.text_of(".state") == "Stopped and kept")
    second.until(lambda: "Saved as watched.safetensors" in second.text_of(".saved"))
    tab.picture("training-panel-finished.png")

    tab.button("Add apply workflow").click()
    loader = "window.app.rootGraph.nodes.find((n) => n.type === 'LoadMotionAdapter')"
    tab.page.wait_for_function(f"{loader} !== undefined")
    chosen = tab.page.evaluate(f"{loader}.widgets.map((w) => w.value)")
    assert "watched.safetensors" in chosen

    late = Tab(browser, server)
    late.drop(workflow(tmp_path, "watched", steps=400, sample_every=4, save_every=5))
    late.until(lambda: "Saved as watched.safetensors" in late.text_of(".saved"))
    assert tab.faults == second.faults == late.faults == []
    assert seconds < 2.0


def curve_steps(tab: Tab) -> list[int]:
    """Steps of the first curve, as the page has them."""
    runs = tab.page.evaluate(
        """async () => {
          const { runs } = await (await fetch('/motion_adapters/runs')).json()
          const run = runs.find((r) => r.state === 'running') ?? runs[0]
          return await (await fetch(`/motion_adapters/runs/${run.id}`)).json()
        }"""
    )
    return [point[0] for point in next(iter(runs["curves"].values()))]


def test_the_runs_tab(browser: Browser, server: Server, tmp_path: Path) -> None:
    """Of the run before."""
    tab = Tab(browser, server)
    tab.drop(workflow(tmp_path, "watched"))
    tab.page.get_by_role("button", name="Runs").first.click()
    side = tab.page.locator(".motion-adapters-runs")
    side.get_by_role("option").first.click()
    side.locator(".detail .average").first.wait_for(state="attached")
    assert "watched" in side.inner_text()
    tab.picture("runs-tab.png")
    side.get_by_role("button", name="Load its graph").click()
    steps = "window.app.rootGraph.nodes.find((n) => n.type === 'TrainMotionAdapter')?.widgets"
    tab.page.wait_for_function(f"{steps}?.find((w) => w.name === 'steps').value === 400")
    assert tab.faults == []


def test_pause_lets_the_queue_go_first_and_goes_on(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    tab = Tab(browser, server)
    tab.drop(workflow(tmp_path, "paused", steps=12, save_every=50))
    tab.run()
    tab.until(lambda: tab.step() >= 2)
    tab.button("Pause & yield").click()
    tab.until(lambda: tab.panel.locator(".resumed").count() == 1)
    tab.until(lambda: "Saved as paused.safetensors" in tab.text_of(".saved"))
    assert tab.step() == 12


def test_a_node_in_a_subgraph_and_a_copy(browser: Browser, server: Server, tmp_path: Path) -> None:
    tab = Tab(browser, server)
    tab.drop(workflow(tmp_path, "inner", steps=3))
    tab.page.evaluate(
        """() => {
          const { canvas, rootGraph } = window.app
          const node = rootGraph.nodes.find((n) => n.type === 'TrainMotionAdapter')
          canvas.select(node)
          const { subgraph } = canvas.graph.convertToSubgraph(new Set([node]))
          canvas.setGraph(subgraph)
        }"""
    )
    tab.run()
    tab.until(lambda: "Saved as inner.safetensors" in tab.text_of(".saved"))
    (run,) = [run for run in server.get("/motion_adapters/runs")["runs"] if run["title"] == "inner"]
    assert ":" in run["node_id"]

    tab.page.evaluate(
        """() => {
          const { canvas } = window.app
          const node = canvas.graph.nodes.find((n) => n.type === 'TrainMotionAdapter')
          const copy = node.clone()
          copy.title = 'A copy'
          canvas.graph.add(copy)
        }"""
    )
    panels = tab.page.locator(".motion-adapters-panel")
    tab.until(lambda: panels.count() == 2)
    texts = [panels.nth(index).inner_text() for index in range(2)]
    assert sum("Saved as inner.safetensors" in text for text in texts) == 1
    assert sum("No run yet" in text for text in texts) == 1
    assert tab.faults == []


def test_a_server_that_is_killed_and_started_again(
    browser: Browser, comfyui: ComfyPlace, tmp_path: Path
) -> None:
    base = tmp_path / "comfyui"
    path = workflow(tmp_path, "killed", steps=12, save_every=2)
    with serve(comfyui, base) as running:
        tab = Tab(browser, running)
        tab.drop(path)
        tab.run()
        tab.until(lambda: tab.step() >= 5)
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
    (base / "custom_nodes" / PACK).unlink()
    with serve(comfyui, base) as again:
        tab = Tab(browser, again)
        tab.drop(path)
        tab.until(lambda: tab.text_of(".state") == "Interrupted")
        tab.picture("training-panel-interrupted.png")
        tab.button("Resume").click()
        tab.until(lambda: "Saved as killed.safetensors" in tab.text_of(".saved"))
        assert tab.step() == 12
        assert tab.panel.locator(".resumed").count() == 1
