"""The panel as ComfyUI's graph comes and goes: copies, subgraphs, workflows that are left, nodes
that are collapsed; and the nodes that Add apply workflow puts beside it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.comfyui.server import Server

from .run_folders import write_run
from .tab import NODES, TRAIN_ID, Tab, workflow, workflow_id

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(900)

PANEL = ".motion-adapters-panel"
NAME = "placed"  # not a name of the other files' runs: the server is theirs too
# Of the adapter that the loader lists: an empty file is enough to be listed.
LISTED = f"{NAME}.safetensors"


@pytest.fixture(scope="module")
def graph(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph whose training node has a finished run, whose adapter is in the loader's list."""
    root = server.output / "motion_training"
    node = (TRAIN_ID, workflow_id(NAME))
    write_run(root, NAME, steps=30, samples=(10, 20, 30), node=node)
    (server.base / "models" / "motion_adapters" / LISTED).touch()
    return workflow(tmp_path_factory.mktemp("graphs"), NAME)


@pytest.fixture(params=[False, True], ids=["classic", "vue"])
def tab(
    request: pytest.FixtureRequest, browser: Browser, server: Server, graph: Path
) -> Iterator[Tab]:
    tab = Tab(browser, server, {"Comfy.VueNodes.Enabled": request.param})
    tab.page.evaluate(WATCH_PLAYERS)
    load(tab, graph)
    tab.until(lambda: tab.text_of(".state") == "Finished")
    yield tab
    assert tab.faults == []
    tab.page.close()


def load(tab: Tab, path: Path) -> None:
    """As another workflow is chosen, or one is undone: in the place of what is there."""
    graph = json.loads(path.read_text(encoding="utf-8"))
    tab.page.evaluate("(graph) => window.app.loadGraphData(graph)", graph)


def players(tab: Tab) -> dict[str, int]:
    """Of all videos that were ever made for a panel: how many there are, and how many of them hold
    a source.
    """
    return tab.page.evaluate(
        """() => ({
          made: window.players.length,
          held: window.players.filter((video) => video.hasAttribute('src')).length
        })"""
    )


def test_a_copy_that_is_never_put_down_has_no_panel(tab: Tab) -> None:
    before = players(tab)
    assert before == {"made": 2, "held": 2}
    tab.page.evaluate(f"for (let i = 0; i < 5; i += 1) {NODES}.find({TRAINS}).clone()")
    tab.page.wait_for_timeout(500)
    assert players(tab) == before
    tab.page.evaluate(
        f"window.app.canvas.graph.add({NODES}.find({TRAINS}).clone())"
    )  # a copy that is put down
    tab.until(lambda: tab.page.locator(PANEL).count() == 2)
    assert "No run yet" in tab.page.locator(PANEL).nth(1).inner_text()


def test_a_panel_in_a_subgraph_goes_with_its_workflow(tab: Tab, graph: Path) -> None:
    """The page tells only nodes of the outermost graph that they are removed."""
    tab.page.evaluate(INTO_SUBGRAPH)
    tab.until(lambda: tab.text_of(".state") == "Finished" or players(tab)["held"] == 0)
    for _ in range(3):
        load(tab, graph)
        tab.page.evaluate(INTO_SUBGRAPH)
        tab.page.wait_for_timeout(500)
    load(tab, graph)
    tab.until(lambda: tab.text_of(".state") == "Finished")
    tab.page.wait_for_timeout(500)
    assert players(tab)["held"] == 2


def test_a_node_that_is_collapsed_and_opened_plays_on(tab: Tab) -> None:
    playing = f"[...document.querySelectorAll('{PANEL} video')].every((v) => !v.paused)"
    shown = f"document.querySelectorAll('{PANEL} video').length === 2 && {playing}"
    tab.page.wait_for_function(shown)
    for _ in range(2):
        tab.page.evaluate(f"{NODES}.find({TRAINS}).collapse()")
        tab.page.wait_for_timeout(700)
    tab.page.wait_for_function(shown, timeout=20_000)


def test_apply_nodes_lie_where_nothing_is_and_come_twice(tab: Tab) -> None:
    last = tab.page.evaluate(f"Math.max(...{NODES}.map((n) => Number(n.id)))")
    for _ in range(2):
        before = tab.page.evaluate(f"{NODES}.length")
        tab.button("Add apply workflow").click()
        tab.page.wait_for_function(f"{NODES}.length === {before} + 3")
    tab.page.wait_for_timeout(2500)  # Vue nodes have their height once they are drawn
    added: list[dict[str, Any]] = tab.page.evaluate(PLACES, last)
    assert len(added) == 6
    assert all(node["covers"] == [] for node in added)
    groups = tab.page.evaluate(GROUPS)
    own = [group for group in groups if group["title"] == f"Apply {LISTED}"]
    assert [group["holds"] for group in own] == [[node["type"] for node in added[:3]]] * 2
    assert all(group["meets"] == [] for group in own)
    assert [node["values"][0] for node in added if node["type"] == "LoadMotionAdapter"] == [
        LISTED,
        LISTED,
    ]


def test_apply_nodes_in_a_subgraph_have_its_base(tab: Tab, server: Server) -> None:
    """The subgraph gets the base from outside: its nodes have it from the subgraph's input."""
    tab.page.evaluate(INTO_SUBGRAPH)
    ids = "window.app.rootGraph.nodes.find((n) => n.subgraph).id"
    node = tab.page.evaluate(f"`${{{ids}}}:${{{NODES}.find({TRAINS}).id}}`")
    folder = write_run(
        server.output / "motion_training",
        f"inside-{node.replace(':', '-')}",
        steps=10,
        node=(node, workflow_id(NAME)),
    )
    (server.base / "models" / "motion_adapters" / f"{folder.name}.safetensors").touch()
    tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    tab.until(lambda: f"Saved as {folder.name}.safetensors" in tab.text_of(".saved"), 60)
    before = tab.page.evaluate(f"{NODES}.length")
    tab.button("Add apply workflow").click()
    tab.page.wait_for_function(f"{NODES}.length === {before} + 3")
    bases = f"""{NODES}.filter((n) => ['TrainMotionAdapter', 'SampleMotionVideo'].includes(n.type))
      .map((n) => n.graph.getLink(n.inputs.find((slot) => slot.type === 'MOTION_BASE').link))
      .map((link) => [link?.origin_id, link?.origin_slot])"""
    own, added = tab.page.evaluate(bases)
    assert added == own and str(own[0]) == "-10"
    shutil.rmtree(folder)


def test_an_adapter_that_is_not_listed_is_said(tab: Tab, server: Server) -> None:
    file = server.base / "models" / "motion_adapters" / LISTED
    file.unlink()
    try:
        before = tab.page.evaluate(f"{NODES}.length")
        tab.button("Add apply workflow").click()
        tab.page.get_by_text(f'"{LISTED}" is not in Load Motion').wait_for()
        assert tab.page.evaluate(f"{NODES}.length") == before
    finally:
        file.touch()


def test_why_a_run_cannot_be_queued_is_said(tab: Tab, server: Server) -> None:
    root = server.output / "motion_training"
    folder = write_run(
        root,
        "cut",
        steps=5,
        total=9,
        state="running",
        seed=1,
        node=(TRAIN_ID, workflow_id(NAME)),
    )
    try:
        tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        tab.until(lambda: tab.text_of(".state") == "Interrupted")
        tab.button("Resume").click()
        tab.page.get_by_text("TrainMotionAdapter").first.wait_for()
    finally:
        shutil.rmtree(folder)


def test_what_happened_while_the_socket_was_gone_is_read(tab: Tab, server: Server) -> None:
    root = server.output / "motion_training"
    folder = write_run(root, "later", steps=5, seed=2, node=(TRAIN_ID, workflow_id(NAME)))
    try:
        with tab.page.expect_request("**/motion_adapters/runs", timeout=9_000):
            tab.page.evaluate("window.app.api.socket.close()")
        tab.until(lambda: "Saved as later.safetensors" in tab.text_of(".saved"), 9)
    finally:
        shutil.rmtree(folder)


TRAINS = "(n) => n.type === 'TrainMotionAdapter'"

WATCH_PLAYERS = """() => {
  window.players = []
  const { createElement } = document
  document.createElement = function (tag, ...rest) {
    const made = createElement.call(this, tag, ...rest)
    if (tag === 'video') window.players.push(made)
    return made
  }
}"""

INTO_SUBGRAPH = """() => {
  const { canvas, rootGraph } = window.app
  const node = rootGraph.nodes.find((n) => n.type === 'TrainMotionAdapter')
  canvas.select(node)
  const { subgraph } = canvas.graph.convertToSubgraph(new Set([node]))
  canvas.setGraph(subgraph)
}"""

# Frames, with the nodes in them and the other frames that they cover.
GROUPS = """() => {
  const { nodes, groups } = window.app.canvas.graph
  const box = ({ pos, size }) => [pos[0], pos[1], pos[0] + size[0], pos[1] + size[1]]
  const holds = (a, b) => a[0] <= b[0] && a[1] <= b[1] - 30 && b[2] <= a[2] && b[3] <= a[3]
  const meet = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
  const others = (group) => groups.filter((one) => one !== group)
  return groups.map((group) => ({
    title: group.title,
    holds: nodes.filter((node) => holds(box(group), box(node))).map((node) => node.type),
    meets: others(group).filter((one) => meet(box(group), box(one))).map((one) => one.title)
  }))
}"""

# The nodes that were added after one, with what they cover of others.
PLACES = """(last) => {
  const { nodes } = window.app.canvas.graph
  const box = ({ pos, size }) => [pos[0], pos[1] - 30, pos[0] + size[0], pos[1] + size[1]]
  const meet = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
  return nodes.filter((node) => Number(node.id) > last).map((node) => ({
    type: node.type,
    values: node.widgets?.map((widget) => widget.value) ?? [],
    covers: nodes.filter((n) => n !== node && meet(box(n), box(node))).map((n) => n.type)
  }))
}"""
