"""A page of ComfyUI in the browser, and what a person does in it."""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.comfyui.place import REPOSITORY
from tests.comfyui.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

WORKFLOW = REPOSITORY / "workflows" / "sample-base-motion-director.json"
PICTURES = REPOSITORY / "docs"
TRAIN_ID = "5"  # of the training node in the workflow
LONG_MS = 240_000
WINDOW = {"width": 1760, "height": 1100}
WIDGETS = {"steps": 4, "sample_every": 10, "save_every": 11, "inversion_steps": 12, "name": 13}
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.VueNodes.Enabled": False,
    "Comfy.ColorPalette": "dark",
    "Comfy.Locale": "en",
}
STARTED = "window.app?.extensionManager && window.app.canvas?.graph"


class Tab:
    """settings: of ComfyUI, by name, other than SETTINGS. With SCREENSHOTS=1 its pictures land in
    docs/.
    """

    def __init__(
        self, browser: Browser, server: Server, settings: Mapping[str, Any] | None = None
    ) -> None:
        self.page: Page = browser.new_page(viewport=WINDOW)
        self.page.set_default_timeout(LONG_MS)
        self.page.add_init_script(NOTE)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        server.post("/settings", {**SETTINGS, **(settings or {})})
        self.address = f"http://{server.address}/"
        self.load()

    def load(self) -> None:
        self.page.goto(self.address)
        self.page.wait_for_function(STARTED)

    def drop(self, path: Path) -> None:
        """Drags a file onto the graph."""
        self.page.evaluate(f"window.earlier = {NODES}[0]")
        x, y = self.free_place()
        drag = self.page.context.new_cdp_session(self.page)
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            drag.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})
        drag.detach()
        self.page.wait_for_function(f"{NODES}[0] && {NODES}[0] !== window.earlier")

    def look(self) -> None:
        """Drags the graph until the panel is in the window, if it is not."""
        self.panel.wait_for(state="attached")
        box = self.panel.bounding_box()
        assert box is not None
        right, bottom = box["x"] + box["width"], box["y"] + box["height"]
        if (
            box["x"] > 60
            and box["y"] > 60
            and right < WINDOW["width"]
            and bottom < WINDOW["height"]
        ):
            return
        x, y = self.free_place()
        self.page.mouse.move(x, y)
        self.page.mouse.down(button="middle")
        self.page.mouse.move(x + 900 - box["x"], y + 520 - box["y"], steps=10)
        self.page.mouse.up(button="middle")

    def free_place(self) -> list[float]:
        """Where the graph is empty, with room for a node, once the page has come up."""
        found = self.page.wait_for_function(FREE_PLACE, arg=list(WINDOW.values()))
        return found.json_value()

    def run(self) -> None:
        self.page.get_by_role("button", name="Run", exact=True).first.click()

    def select(self, node: str) -> None:
        """Clicks the title of a node, until it is selected: a page that has just opened a graph
        lets go of it again. node: it, in the page's script.
        """
        title = ON_NODE.replace("NODE", node)

        def is_selected() -> bool:
            self.page.mouse.click(*self.page.evaluate(title, [90, -14]))
            self.page.wait_for_timeout(800)  # shorter, and two clicks were a double click
            return self.page.evaluate(f"window.app.canvas.selectedItems.has({node})")

        self.until(is_selected)

    def body_of(self, node: str) -> list[float]:
        """Where a node is between its sockets."""
        return self.page.evaluate(ON_NODE.replace("NODE", node), [90, 14])

    def add_node(self, title: str) -> None:
        """Double-clicks where the graph is empty, types the title, takes what is found and, where
        it follows the pointer, puts it down.
        """
        place = self.free_place()
        self.page.mouse.dblclick(*place)
        self.page.wait_for_function("document.activeElement?.tagName === 'INPUT'")
        self.page.keyboard.type(title)
        self.page.wait_for_timeout(1500)  # for the search to have found it
        self.page.keyboard.press("Enter")
        found = f"{NODES}.find((n) => n.title === '{title}')"
        self.page.wait_for_function(found)
        if self.page.evaluate(f"{found}.flags.ghost === true"):
            self.page.wait_for_function(CLEAR, arg=place)
            self.page.mouse.click(*place)
            self.page.wait_for_function(f"!{found}.flags.ghost")

    def offered(self, title: str, widget: str) -> list[str]:
        """What a list on a node would show, without opening it: an empty one does not open."""
        return self.page.evaluate(VALUES, [title, widget])

    def choices(self, title: str, widget: str) -> list[str]:
        """Opens a list on a node."""
        self.page.mouse.click(*self.page.evaluate(PLACE, [title, widget]))
        self.page.locator(".litemenu-entry").first.wait_for()
        return self.page.locator(".litemenu-entry").all_inner_texts()

    def choose(self, text: str) -> None:
        self.page.locator(".litemenu-entry", has_text=text).first.click()

    @property
    def panel(self) -> Locator:
        return self.page.locator(".motion-adapters-panel").first

    def button(self, name: str) -> Locator:
        return self.panel.get_by_role("button", name=name)

    def text_of(self, part: str) -> str:
        return self.panel.locator(part).first.text_content() or ""

    def step(self) -> int:
        """Of how many steps the header tells, 0 for none."""
        return number(self.text_of(".steps").partition("/")[0])

    def sample(self) -> int:
        """The step of the sample that is shown, 0 for none."""
        return number(self.text_of(".sample figcaption"))

    def points_drawn(self) -> int:
        """Of the longest curve: one for each step of a short run. MotionDirector leaves its spatial
        term out in some steps.
        """
        curves = self.panel.locator(".average").all()
        paths = [curve.get_attribute("d") or "" for curve in curves]
        return max((path.count("M") + path.count("L") for path in paths), default=0)

    def said(self) -> list[str]:
        """All that the header has said since the page was loaded, in order."""
        return self.page.evaluate("window.noted.said")

    def until(self, what: Callable[[], bool], seconds: float = 300.0) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, self.panel.inner_text()
            self.page.wait_for_timeout(200)

    def picture(self, name: str) -> None:
        if os.environ.get("SCREENSHOTS"):
            self.page.wait_for_timeout(1000)  # what covers a page that comes up fades out
            self.page.screenshot(path=PICTURES / name)


def number(text: str) -> int:
    digits = "".join(character for character in text if character.isdigit())
    return int(digits or 0)


def workflow(folder: Path, name: str, **changed: Any) -> Path:
    """The shipped workflow with a few widgets of the training node changed, by position."""
    graph = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    graph["id"] = workflow_id(name)
    (node,) = [node for node in graph["nodes"] if str(node["id"]) == TRAIN_ID]
    for widget, value in {"inversion_steps": 2, "name": name, **changed}.items():
        node["widgets_values"][WIDGETS[widget]] = value
    path = folder / f"{name}.json"
    path.write_text(json.dumps(graph), encoding="utf-8")
    return path


def workflow_id(name: str) -> str:
    return f"00000000-0000-4000-8000-{zlib.crc32(name.encode()):012d}"


NODES = "window.app.canvas.graph.nodes"

# The first place, from the left and from below, around which there is nothing but the graph.
FREE_PLACE = """([width, height]) => {
  const { canvas } = window.app
  const box = canvas.canvas.getBoundingClientRect()
  const isFree = ([x, y]) => {
    const [a, b] = canvas.ds.convertCanvasToOffset([x - box.left, y - box.top])
    const over = document.elementFromPoint(x, y)
    return over?.id === 'graph-canvas' && !canvas.graph.getNodeOnPos(a, b)
  }
  const around = ([x, y]) => [0, 130, 260].flatMap((dx) => [0, 60, 120].map((dy) => [x + dx, y + dy]))
  for (let x = 120; x < width - 280; x += 40)
    for (let y = height - 160; y > 120; y -= 40)
      if (around([x, y]).every(isFree)) return [x, y]
}"""  # noqa: E501

# Whether a dialog that closes is out of the way.
CLEAR = "([x, y]) => document.elementFromPoint(x, y).id === 'graph-canvas'"

VALUES = """([title, name]) => {
  const node = window.app.canvas.graph.nodes.find((n) => n.title === title)
  const { values } = node.widgets.find((w) => w.name === name).options
  return (typeof values === 'function' ? values() : values) ?? []
}"""

TRAIN = f"{NODES}.find((n) => n.type === 'TrainMotionAdapter')"
SUBGRAPH = f"{NODES}.find((n) => n.isSubgraphNode?.())"

ON_NODE = """([dx, dy]) => {
  const { canvas } = window.app
  const node = NODE
  const [x, y] = canvas.ds.convertOffsetToCanvas([node.pos[0] + dx, node.pos[1] + dy])
  const box = canvas.canvas.getBoundingClientRect()
  return [box.left + x, box.top + y]
}"""

# Where a node's widget is in the window.
PLACE = """([title, name]) => {
  const { canvas } = window.app
  const node = canvas.graph.nodes.find((n) => n.title === title)
  const widget = node.widgets.find((w) => w.name === name)
  const at = [node.pos[0] + node.size[0] / 2, node.pos[1] + (widget.last_y ?? widget.y) + 10]
  const [x, y] = canvas.ds.convertOffsetToCanvas(at)
  const box = canvas.canvas.getBoundingClientRect()
  return [box.left + x, box.top + y]
}"""

# Notes, from within the page, what the header says and when the panel came up and was complete:
# its curve and the first picture of its sample's video.
NOTE = """
window.noted = { said: [] }
setInterval(() => {
  const panel = document.querySelector('.motion-adapters-panel')
  if (!panel) return
  const { noted } = window
  noted.up ??= performance.now()
  const shown = ['.empty', '.state', '.doing'].map((part) => panel.querySelector(part))
  const said = shown.filter((part) => part.offsetParent).map((part) => part.textContent).join(': ')
  if (said && said !== noted.said.at(-1)) noted.said.push(said)
  const curve = panel.querySelector('.average')?.getAttribute('d') ?? ''
  const sample = panel.querySelector('.sample video')
  if (curve.includes('L') && sample.readyState >= 2) noted.complete ??= performance.now()
}, 20)
"""
