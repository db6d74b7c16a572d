"""The workflows in ComfyUI's template browser, as a person opens them there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.comfyui.place import REPOSITORY
from tests.comfyui.server import Server

from .tab import NODES, Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(900)

INDEX = json.loads((REPOSITORY / "web" / "templates" / "index.json").read_text("utf-8"))
TOLD = {entry["name"]: entry["title"] for entry in INDEX[0]["templates"]}
NAMES = sorted(file.stem for file in (REPOSITORY / "workflows").glob("*.json"))
OPENED = "sample-base-motion-director"
WIDTH = "(image) => image.naturalWidth"
# Classic nodes, and Vue nodes, whose notes are elements.
VUE = [False, True]


@pytest.mark.parametrize("vue", VUE, ids=["classic", "vue"])
def test_a_template_opens_as_it_ships(browser: Browser, server: Server, vue: bool) -> None:
    """Listed by title, in order; opened where its text can be read."""
    tab = Tab(browser, server, {"Comfy.VueNodes.Enabled": vue})
    tab.page.get_by_role("button", name="Templates").first.click()
    dialog = tab.page.get_by_role("dialog").first
    dialog.get_by_text("motion-adapters", exact=True).first.click()
    cards = dialog.locator('[data-testid^="template-workflow-"]')
    tab.page.wait_for_function(
        "count => document.querySelectorAll('[data-testid^=template-workflow-]').length === count",
        arg=len(NAMES),
    )
    pictures = {}
    for card in cards.all():
        card.scroll_into_view_if_needed()  # only then its picture is there
        picture = card.locator("img").first
        tab.until(lambda picture=picture: picture.evaluate(WIDTH) > 0, seconds=30)
        name = str(card.get_attribute("data-testid")).removeprefix("template-workflow-")
        pictures[name] = picture.evaluate(WIDTH)
    assert pictures == dict.fromkeys(NAMES, 512)
    assert list(pictures) == list(TOLD)
    text = dialog.inner_text()
    places = [text.index(title) for title in TOLD.values()]
    assert places[0] == min(places)
    dialog.locator(f'[data-testid="template-workflow-{OPENED}"]').click()
    tab.page.wait_for_function(f"{NODES}.some((n) => n.type === 'TrainMotionAdapter')")
    shipped = json.loads((REPOSITORY / "workflows" / f"{OPENED}.json").read_text("utf-8"))
    opened = tab.page.evaluate(f"{NODES}.map((n) => n.type)")
    assert sorted(opened) == sorted(node["type"] for node in shipped["nodes"])
    assert tab.panel.is_visible()
    tab.page.wait_for_timeout(2000)
    scale, left, top = tab.page.evaluate(VIEW)
    assert scale >= 0.8 and 0 < left < 300 and 0 < top < 300
    assert tab.faults == []


# The size of the graph in the window, and where its first node is there.
VIEW = """() => {
  const { ds, graph } = window.app.canvas
  const x = Math.min(...graph.nodes.map((node) => node.pos[0]))
  const y = Math.min(...graph.nodes.map((node) => node.pos[1]))
  return [ds.scale, ...ds.convertOffsetToCanvas([x, y])]
}"""
