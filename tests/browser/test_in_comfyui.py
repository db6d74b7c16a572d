"""The training panel in a real ComfyUI with its real page, by clicks as a person makes them.

With SCREENSHOTS=1 the pictures of docs/ are taken anew.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.comfyui.place import ComfyPlace
from tests.comfyui.server import PACK, Server, serve

from .tab import NODES, SUBGRAPH, TRAIN, Tab, workflow

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(900)

LOADER = "Load Motion LoRA/Embedding"
PROMPT = "a blue square zigzagging on a white background"  # of the workflow's samples
# So long that a person comes first, with much to see on the way.
WATCHED = {"steps": 400, "sample_every": 4, "save_every": 5}


@pytest.fixture(autouse=True)
def _pages_are_closed(browser: Browser) -> Iterator[None]:
    """After each test: an open page draws on, and takes time from the next."""
    yield
    for context in browser.contexts:
        context.close()


def test_a_person_trains_reloads_stops_and_plays(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    path = workflow(tmp_path, "watched", **WATCHED)
    tab = Tab(browser, server)
    tab.drop(path)
    assert "No run yet" in tab.panel.inner_text()
    tab.run()
    see_it_grow(tab)
    tab.picture("training-panel.png")
    reload(tab)
    second = Tab(browser, server)
    second.drop(path)
    second.until(lambda: second.step() >= tab.step() > 0)
    tab.add_node(LOADER)
    assert "watched.safetensors" not in tab.offered(LOADER, "adapter")

    tab.button("Stop & keep").click()
    for each in (tab, second):
        each.until(lambda each=each: "Saved as watched.safetensors" in each.text_of(".saved"))
        each.until(lambda each=each: each.text_of(".state") == "Stopped and kept")
    tab.until(lambda: "watched.safetensors" in tab.offered(LOADER, "adapter"), seconds=20)
    assert "watched.safetensors" in tab.choices(LOADER, "adapter")
    tab.picture("training-panel-finished.png")
    tab.choose("watched.safetensors")
    add_apply_workflow(tab)

    late = Tab(browser, server)
    late.drop(path)
    late.until(lambda: "Saved as watched.safetensors" in late.text_of(".saved"))
    assert late.points_drawn() == late.step() == tab.step()
    assert tab.faults == second.faults == late.faults == []


def see_it_grow(tab: Tab) -> None:
    """What it does at every time, the curve, samples."""
    tab.until(lambda: tab.step() >= 2)
    assert tab.text_of(".state") == "Training"
    before = tab.said()[: tab.said().index("Training")]
    assert before[0].startswith("No run yet")
    assert before[1].startswith(("Queued", "Starting", "Preparing"))
    assert {"Preparing: encoding the clips", "Training: first step"} & set(before)
    drawn = tab.points_drawn()
    tab.until(lambda: tab.sample() > 0)
    tab.until(lambda: tab.points_drawn() > drawn)
    tab.until(lambda: tab.step() >= 24)
    tab.page.wait_for_function("window.noted.complete !== undefined")


def reload(tab: Tab) -> None:
    """Afterwards the whole curve and the latest sample are there within 2 s of the panel, which
    comes with the page.
    """
    step, sample = tab.step(), tab.sample()
    tab.load()
    tab.look()
    tab.page.wait_for_function("window.noted.complete !== undefined")
    up, complete = tab.page.evaluate("[window.noted.up / 1000, window.noted.complete / 1000]")
    seconds = complete - up
    print(f"the page took {up:.2f} s to bring the panel, that {seconds:.2f} s more")  # noqa: T201
    assert tab.points_drawn() >= step
    assert tab.sample() >= sample > 0
    assert seconds < 2.0


def add_apply_workflow(tab: Tab) -> None:
    """Its nodes come joined to each other and to the base, with the adapter chosen."""
    before = tab.page.evaluate(f"{NODES}.length")
    tab.button("Add apply workflow").click()
    tab.page.wait_for_function(f"{NODES}.length === {before} + 3")
    added: list[dict[str, Any]] = tab.page.evaluate(
        f"""{NODES}.slice(-3).map((n) => ({{
          type: n.type,
          linked: n.inputs.filter((slot) => slot.link != null).map((slot) => slot.type),
          values: n.widgets?.map((w) => w.value) ?? []
        }}))"""
    )
    assert [node["type"] for node in added] == [
        "LoadMotionAdapter",
        "SampleMotionVideo",
        "SaveVideo",
    ]
    assert "watched.safetensors" in added[0]["values"]
    assert {"MOTION_BASE", "MOTION_ADAPTER"} <= set(added[1]["linked"])
    assert added[2]["linked"] == ["VIDEO"]
    assert PROMPT in added[1]["values"]
    groups = tab.page.evaluate("window.app.canvas.graph.groups.map((group) => group.title)")
    assert "Apply watched.safetensors" in groups


def test_the_runs_tab(browser: Browser, server: Server, tmp_path: Path) -> None:
    """Of the run before."""
    tab = Tab(browser, server)
    tab.drop(workflow(tmp_path, "other"))
    tab.page.get_by_role("button", name="Runs").first.click()
    side = tab.page.locator(".motion-adapters-runs")
    side.locator("[role=option]").first.click()
    side.locator(".detail .average").first.wait_for(state="attached")
    assert "watched" in side.inner_text()
    tab.picture("runs-tab.png")
    side.get_by_role("button", name="Load graph").click()
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
    base = {"base": "animatediff", "checkpoint": "standard"}
    waiting = {
        "1": {"class_type": "SampleMotionBase", "inputs": base},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 4]}},
    }
    between = server.queue(waiting, "someone else")
    tab.button("Pause & yield").click()
    tab.until(lambda: tab.panel.locator(".resumed").count() == 1)
    tab.until(lambda: "Saved as paused.safetensors" in tab.text_of(".saved"))
    assert tab.step() == tab.points_drawn() == 12
    (run,) = [
        run for run in server.get("/motion_adapters/runs")["runs"] if run["title"] == "paused"
    ]
    tab.until(lambda: run["prompt_id"] in server.get("/history"))
    history = list(server.get("/history"))
    assert history.index(between) < history.index(run["prompt_id"])
    assert run["part"] == 2


def test_a_node_in_a_subgraph_and_a_copy(browser: Browser, server: Server, tmp_path: Path) -> None:
    tab = Tab(browser, server)
    tab.drop(workflow(tmp_path, "inner", steps=3))
    tab.select(TRAIN)
    tab.page.keyboard.press("Control+Shift+KeyE")
    tab.page.wait_for_function(f"!{NODES}.some((n) => n.type === 'TrainMotionAdapter')")
    tab.page.mouse.dblclick(*tab.body_of(SUBGRAPH))
    tab.page.wait_for_function(f"{NODES}.some((n) => n.type === 'TrainMotionAdapter')")
    tab.look()
    tab.run()
    tab.until(lambda: "Saved as inner.safetensors" in tab.text_of(".saved"))
    (run,) = [run for run in server.get("/motion_adapters/runs")["runs"] if run["title"] == "inner"]
    assert ":" in run["node_id"]

    tab.select(TRAIN)
    tab.page.keyboard.press("Control+KeyC")
    tab.page.mouse.move(*tab.free_place())
    tab.page.keyboard.press("Control+KeyV")
    panels = tab.page.locator(".motion-adapters-panel")
    tab.until(lambda: panels.count() == 2)
    texts = [panels.nth(index).inner_text() for index in range(2)]
    assert sum("Saved as inner.safetensors" in text for text in texts) == 1
    assert sum("No run yet" in text for text in texts) == 1
    assert tab.faults == []


def stands_still(tab: Tab) -> None:
    """Within seconds the panel says that the server is gone; its clock stops, its buttons are
    grey.
    """
    tab.panel.get_by_text("could not be reached").wait_for(timeout=8_000)
    assert all(button.is_disabled() for button in tab.panel.locator(".buttons button").all())
    times = tab.text_of(".times")
    tab.page.wait_for_timeout(2500)
    assert tab.text_of(".times") == times


def test_a_server_that_is_killed_and_started_again(
    browser: Browser, comfyui: ComfyPlace, tmp_path: Path
) -> None:
    base = tmp_path / "comfyui"
    path = workflow(tmp_path, "killed", steps=30, save_every=2)
    with serve(comfyui, base) as running:
        tab = Tab(browser, running)
        tab.drop(path)
        tab.run()
        tab.until(lambda: tab.step() >= 5)
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
        stands_still(tab)
    (base / "custom_nodes" / PACK).unlink()
    with serve(comfyui, base) as again:
        tab = Tab(browser, again)
        tab.drop(path)
        tab.until(lambda: tab.text_of(".state") == "Interrupted")
        tab.picture("training-panel-interrupted.png")
        tab.button("Resume").click()
        tab.until(lambda: "Saved as killed.safetensors" in tab.text_of(".saved"))
        assert tab.step() == tab.points_drawn() == 30
        (run,) = again.get("/motion_adapters/runs")["runs"]
        shown = again.get(f"/motion_adapters/runs/{run['id']}")
        (resumed,) = shown["resumes"]
        assert resumed in shown["checkpoints"] and resumed >= 4
