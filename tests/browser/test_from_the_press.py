"""What the panel says between the press of Run and the first step, and Cancel at any time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.comfyui.place import ComfyPlace
from tests.comfyui.server import Server, serve
from tests.comfyui.test_training import prompt

from .tab import TRAIN_ID, Tab, workflow

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(900)

# In the order in which they may come; none comes after a later one.
STAGES = (
    "No run yet",
    "Queued",
    "Starting: loading",
    "Starting: preparing",
    "Preparing",
    "Training",
)
INTERRUPT = "button[aria-label='Cancel current run']"


@pytest.fixture(scope="module")
def server(comfyui: ComfyPlace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that has not loaded any library yet."""
    with serve(comfyui, tmp_path_factory.mktemp("fresh")) as running:
        yield running


@pytest.fixture(scope="module")
def tab(browser: Browser, server: Server) -> Iterator[Tab]:
    """One page for all, in this order."""
    tab = Tab(browser, server)
    yield tab
    assert tab.faults == []
    tab.page.close()


def stages(said: list[str]) -> list[int]:
    """Places among STAGES."""
    told = [next((i for i, s in enumerate(STAGES) if text.startswith(s)), None) for text in said]
    return [place for place in told if place is not None]


def test_it_says_what_happens_and_never_goes_back(tab: Tab, server: Server, tmp_path: Path) -> None:
    tab.drop(workflow(tmp_path, "first", steps=400))
    tab.run()
    tab.until(lambda: tab.step() >= 1)
    said = tab.said()
    seen = stages(said)
    assert seen == sorted(seen), said
    assert {1, 2, 5} <= set(seen), said


def test_cancel_after_a_reload(tab: Tab, server: Server) -> None:
    """The panel's, and ComfyUI's own, which a page that was loaded anew does not know of."""
    tab.load()
    tab.until(lambda: tab.text_of(".state") == "Training")
    tab.page.wait_for_function(
        f"document.querySelector({json.dumps(INTERRUPT)})?.disabled === false"
    )
    tab.button("Cancel").click()
    tab.until(lambda: tab.text_of(".state") == "Cancelled", 60)
    assert "Cancelling" in " ".join(tab.said())
    assert server.get("/queue")["queue_running"] == []


def test_cancel_after_its_own_resume(tab: Tab, server: Server) -> None:
    tab.button("Resume").click()
    tab.until(lambda: tab.text_of(".state") == "Training" and tab.points_drawn() > 0)
    assert "Starting: loading" not in " ".join(tab.said())  # they are loaded already
    tab.page.locator(INTERRUPT).click()
    tab.until(lambda: tab.text_of(".state") == "Cancelled", 60)
    # The panel is told before the prompt is over.
    tab.until(lambda: server.get("/queue")["queue_running"] == [], 20)


def test_a_run_of_a_script_is_in_the_runs_tab_only(
    tab: Tab, server: Server, tmp_path: Path
) -> None:
    """Its training node has the same id as the graph's."""
    tab.drop(workflow(tmp_path, "another"))
    tab.page.get_by_text("No run yet").wait_for()
    tab.page.evaluate("window.noted.said = []")
    script = prompt("scripted", steps=2, inversion_steps=0)
    script[TRAIN_ID] = script.pop("3")
    assert server.run(script, 300.0).error is None
    tab.page.wait_for_timeout(1500)
    assert set(tab.said()) <= {"No run yet. Queue the graph to train."}
    tab.page.get_by_role("button", name="Runs").first.click()
    tab.page.locator("[role=option]", has_text="scripted").wait_for()


def test_a_prompt_that_waits_is_taken_out_of_the_queue(
    tab: Tab, server: Server, tmp_path: Path
) -> None:
    """Behind another one, which goes on."""
    tab.drop(workflow(tmp_path, "long", steps=400))
    tab.run()
    tab.until(lambda: tab.step() >= 1)
    tab.drop(workflow(tmp_path, "behind", steps=5))
    tab.run()
    tab.page.get_by_text("Queued").first.wait_for()
    tab.panel.locator(".leave").click()
    tab.page.get_by_text("No run yet").wait_for()
    queue = server.get("/queue")
    assert (len(queue["queue_running"]), queue["queue_pending"]) == (1, [])
    server.post("/interrupt", {})
