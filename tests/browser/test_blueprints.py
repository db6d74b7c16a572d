"""The subgraph blueprints and the sockets' colours in ComfyUI's page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.comfyui.place import REPOSITORY
from tests.comfyui.server import Server

from .tab import NODES, Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(900)

FILES = {file.stem: file for file in sorted((REPOSITORY / "subgraphs").glob("*.json"))}
TYPED = {"prompt": "a car turns left", "sample_prompt": "a bus turns left", "name": "turn"}
NODE = """() => {
  const node = window.app.graph._nodes[0]
  const names = (slots) => slots.map((slot) => slot.name)
  return { title: node.title, inputs: names(node.inputs), outputs: names(node.outputs) }
}"""
SET = """(values) => {
  const node = window.app.graph._nodes[0]
  for (const widget of node.widgets)
    if (widget.name in values) {
      widget.value = values[widget.name]
      widget.callback?.(widget.value)
    }
  return node.widgets.map((widget) => widget.name)
}"""
COLOURS = """() => {
  const kinds = ['MOTION_BASE', 'MOTION_CLIPS', 'MOTION_ADAPTER', 'MOTION_METHOD_SETTINGS']
  const canvas = window.app.canvas
  const style = getComputedStyle(document.documentElement)
  return kinds.map((kind) => [
    canvas.default_connection_color_byType[kind],
    canvas.constructor.link_type_colors[kind],
    style.getPropertyValue(`--color-datatype-${kind}`).trim()
  ])
}"""


@pytest.mark.parametrize("name", FILES)
def test_a_blueprint_opens_in_the_page(name: str, browser: Browser, server: Server) -> None:
    """One node, with those inside in its place in a prompt; what is typed on it reaches them."""
    tab = Tab(browser, server)
    blueprint = json.loads(FILES[name].read_text("utf-8"))
    tab.page.evaluate("(graph) => window.app.loadGraphData(graph)", blueprint)
    tab.page.wait_for_function(f"{NODES}.length === 1 && {NODES}[0].isSubgraphNode?.()")
    (subgraph,) = blueprint["definitions"]["subgraphs"]
    node = tab.page.evaluate(NODE)
    assert node["title"] == name
    assert node["outputs"] == [end["name"] for end in subgraph["outputs"]]
    assert set(node["inputs"]) == {end["name"] for end in subgraph["inputs"]}
    widgets = tab.page.evaluate(SET, TYPED)
    wanted = [i["name"] for i in blueprint["nodes"][0]["inputs"] if "widget" in i]
    assert set(wanted) <= set(widgets)
    prompt: dict[str, Any] = tab.page.evaluate("() => window.app.graphToPrompt()")["output"]
    inside = sorted(node["class_type"] for node in prompt.values())
    assert inside == sorted(node["type"] for node in subgraph["nodes"])
    train = [n["inputs"] for n in prompt.values() if n["class_type"] == "TrainMotionAdapter"]
    for inputs in train:
        assert inputs["name"] == "turn"
        assert inputs["steps"] > 0 and inputs["objective"]
    clips = [n["inputs"] for n in prompt.values() if n["class_type"] == "MotionClip"]
    assert all(inputs["prompt"] == "a car turns left" for inputs in clips)
    assert tab.faults == []


def test_the_sockets_keep_their_colours_in_every_palette(browser: Browser, server: Server) -> None:
    """On the canvas, of links, and in Vue nodes."""
    tab = Tab(browser, server)
    tab.page.wait_for_function(f"({COLOURS})()[0][0]")
    before = tab.page.evaluate(COLOURS)
    assert len({colour for colour, _, _ in before}) == 4
    assert all(link == colour for colour, link, _ in before)
    tab.until(lambda: all(row[2] == row[0] for row in tab.page.evaluate(COLOURS)), seconds=30)
    for palette in ("light", "nord"):
        tab.page.evaluate(
            "(name) => window.app.extensionManager.setting.set('Comfy.ColorPalette', name)", palette
        )
        tab.page.wait_for_timeout(1500)
        assert tab.page.evaluate(COLOURS) == before
    assert tab.faults == []
