"""The page's panel of properties on the right, which shows the widgets of what is selected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.comfyui.server import Server

from .tab import NODES, TRAIN, Tab, workflow

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(900)

TEXT = "Two lines\nof a report."
CLIP = f"{NODES}.find((n) => n.type === 'MotionClip')"


@pytest.fixture(params=[False, True], ids=["classic", "vue"])
def tab(
    request: pytest.FixtureRequest, browser: Browser, server: Server, tmp_path: Path
) -> Iterator[Tab]:
    """With the panel open."""
    tab = Tab(browser, server, {"Comfy.VueNodes.Enabled": request.param})
    tab.drop(workflow(tmp_path, f"wide-{request.param}"))
    tab.panel.wait_for()
    properties = tab.page.locator("[data-testid=properties-panel]")
    if not properties.is_visible():  # the page remembers that it was open
        tab.page.get_by_role("button", name="Toggle properties panel").first.click()
    properties.wait_for()
    yield tab
    assert tab.faults == []
    tab.page.close()


def test_what_is_selected_keeps_its_widgets(tab: Tab) -> None:
    """The training panel, and the text on another node, before and after."""
    tab.page.evaluate(SAY, TEXT)
    said = tab.page.locator(".motion-adapters-said", has_text="Two lines").first
    said.wait_for()
    for node, part in ((TRAIN, tab.panel), (CLIP, said)):
        before = part.evaluate("(part) => part.offsetWidth")
        assert before > 200
        tab.page.evaluate(SELECT.replace("NODE", node))
        tab.page.wait_for_timeout(1500)
        outside = "(part) => !part.closest('[data-testid=properties-panel]')"
        assert part.evaluate(outside)
        assert part.evaluate("(part) => part.offsetWidth") == pytest.approx(before, abs=8)
        tab.page.evaluate("window.app.canvas.deselectAll()")
        tab.page.wait_for_timeout(800)
        assert part.evaluate("(part) => part.offsetWidth") == pytest.approx(before, abs=8)


SELECT = """() => {
  const { canvas } = window.app
  canvas.deselectAll?.()
  canvas.select(NODE)
  canvas.setDirty(true, true)
}"""

SAY = """(text) => {
  const { api, canvas } = window.app
  const node = canvas.graph.nodes.find((n) => n.type === 'MotionClip')
  api.dispatchCustomEvent('executed', { node: String(node.id), output: { text: [text] } })
}"""
