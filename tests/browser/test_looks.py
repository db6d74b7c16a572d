"""The panel in ComfyUI's page as the page can look: classic and Vue nodes, dark and light, widths,
Chinese, and without a mouse.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.comfyui.server import Server

from .looks import low_contrasts, sticking_out
from .run_folders import write_run
from .tab import NODES, TRAIN_ID, Tab, workflow, workflow_id

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(900)

PANEL = ".motion-adapters-panel"
SAMPLE_SHOWN = f"document.querySelector('{PANEL} .sample video').readyState >= 2"
ALL_CHINESE = f"""[...document.querySelectorAll('{PANEL} button')]
  .every((button) => /[\\u4e00-\\u9fff]/.test(button.textContent))"""


@pytest.fixture(scope="module")
def graphs(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two graphs, whose training nodes have a finished run and one that failed."""
    folder, root = tmp_path_factory.mktemp("graphs"), server.output / "motion_training"
    for name, state in (("shown", "finished"), ("broken", "failed")):
        node = (TRAIN_ID, workflow_id(name))
        run = write_run(root, name, steps=300, samples=(100, 200, 300), state=state, node=node)
        if state == "failed":
            record = json.loads((run / "run.json").read_text())
            record["message"] = "The GPU ran out of memory in step 301."
            (run / "run.json").write_text(json.dumps(record))
        workflow(folder, name)
    saved = server.base / "models" / "motion_adapters" / "shown.safetensors"
    saved.parent.mkdir(exist_ok=True)
    saved.touch()  # the loader lists it
    return folder


@pytest.fixture(scope="module", params=[False, True], ids=["classic", "vue"])
def tab(
    request: pytest.FixtureRequest, browser: Browser, server: Server, graphs: Path
) -> Iterator[Tab]:
    """A page with classic nodes, and one with Vue nodes; both are used by all tests in turn."""
    tab = Tab(browser, server, {"Comfy.VueNodes.Enabled": request.param})
    assert is_vue(tab) == request.param
    yield tab
    assert tab.faults == []
    tab.page.close()


@pytest.fixture
def shown(tab: Tab, graphs: Path) -> Tab:
    """The page with the graph of the finished run."""
    tab.drop(graphs / "shown.json")
    tab.until(lambda: tab.text_of(".state") == "Finished")
    tab.page.wait_for_function(SAMPLE_SHOWN)
    return tab


def is_vue(tab: Tab) -> bool:
    return tab.page.evaluate("window.LiteGraph.vueNodesMode === true")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everything_can_be_read(shown: Tab, graphs: Path, theme: str) -> None:
    shown.page.evaluate(SET, ["Comfy.ColorPalette", theme])
    is_dark = "(document.querySelector('html.dark-theme, body.dark-theme') !== null)"
    shown.page.wait_for_function(f"{is_dark} === {str(theme == 'dark').lower()}")
    shown.page.wait_for_timeout(1000)
    assert low_contrasts(shown.page, PANEL) == []
    shown.picture(f"panel-{'vue' if is_vue(shown) else 'classic'}-{theme}.png")
    shown.drop(graphs / "broken.json")
    shown.until(lambda: "ran out" in shown.text_of(".message"))
    assert low_contrasts(shown.page, PANEL) == []


@pytest.mark.parametrize("width", [320, 420, 760, 1200])
def test_every_width(shown: Tab, width: int) -> None:
    """The node is as wide as it is asked to be, the panel as the node, and all parts fit in."""
    widen(shown, width)
    wide = shown.page.evaluate(f"document.querySelector('{PANEL}').offsetWidth")
    assert width - 60 <= wide <= width
    assert sticking_out(shown.page, PANEL) == []


def widen(tab: Tab, width: int) -> None:
    """By the corner of a Vue node; older pages give those no size from elsewhere."""
    if is_vue(tab):
        now = tab.page.evaluate(BRING_INTO_VIEW)
        tab.page.wait_for_timeout(1000)
        node = tab.page.locator("[data-node-id]", has=tab.panel)
        corner = node.get_by_label("Resize from bottom-right corner").bounding_box()
        assert corner is not None
        x, y = corner["x"] + corner["width"] / 2, corner["y"] + corner["height"] / 2
        tab.page.mouse.move(x, y)
        tab.page.mouse.down()
        tab.page.mouse.move(x + (width - now) * SCALE, y, steps=5)
        tab.page.mouse.up()
    else:
        tab.page.evaluate(RESIZE, width)
    tab.page.wait_for_timeout(1000)


def test_all_of_it_is_seen_in_a_new_node(shown: Tab) -> None:
    """Down to the samples' scrubber, without scrolling; the videos are not too small for that."""
    shown.page.evaluate(RESIZE, 460)
    shown.page.wait_for_timeout(1000)
    heights = "(panel) => [panel.scrollHeight, panel.clientHeight]"
    content, room = shown.panel.evaluate(heights)
    assert content <= room
    for part in (".sample video", ".reference video"):
        assert shown.panel.locator(part).evaluate("(video) => video.offsetHeight") >= 70


def test_without_a_mouse(shown: Tab) -> None:
    """The panel's keys stay in it: Delete must not remove the node."""
    before = shown.page.evaluate(f"{NODES}.length")
    chart = shown.panel.locator(".chart")
    chart.focus()
    shown.page.keyboard.press("ArrowLeft")
    assert chart.get_attribute("aria-valuenow") == "299"
    shown.page.keyboard.press("Delete")
    assert shown.page.evaluate(f"{NODES}.length") == before
    shown.page.keyboard.press("Shift+Tab")
    assert shown.page.evaluate("document.activeElement.textContent") == "Add apply workflow"
    shown.page.keyboard.press("Enter")
    shown.page.wait_for_function(f"{NODES}.length === {before} + 3")


def test_chinese(browser: Browser, server: Server, graphs: Path) -> None:
    tab = Tab(browser, server, {"Comfy.Locale": "zh"})
    tab.drop(graphs / "shown.json")
    tab.until(lambda: tab.text_of(".state") == "已完成")
    assert "已保存为 shown.safetensors" in tab.panel.inner_text()
    assert tab.page.evaluate(ALL_CHINESE)
    assert tab.faults == []


SET = "(setting) => window.app.extensionManager.setting.set(...setting)"

RESIZE = """(width) => {
  const node = window.app.canvas.graph.nodes.find((n) => n.type === 'TrainMotionAdapter')
  node.setSize([width, node.size[1]])
  window.app.canvas.setDirty(true, true)
}"""

SCALE = 0.5
# A node of any width beside the page's bars; tells how wide it is.
BRING_INTO_VIEW = f"""() => {{
  const {{ canvas }} = window.app
  const node = canvas.graph.nodes.find((n) => n.type === 'TrainMotionAdapter')
  canvas.ds.scale = {SCALE}
  canvas.ds.offset[0] = 250 - node.pos[0]
  canvas.ds.offset[1] = 250 - node.pos[1]
  canvas.setDirty(true, true)
  return node.size[0]
}}"""
