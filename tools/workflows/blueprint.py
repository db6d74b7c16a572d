"""A subgraph blueprint in the form in which ComfyUI's page publishes one: a graph of one node,
whose definition holds the graph inside.

In: a name, what goes in and comes out, and the nodes inside, as in `graph`. Out: the JSON that the
server offers from a pack's folder `subgraphs` and the page lists under *Subgraph Blueprints*. What
leads to a widget inside is a widget of the one node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from .graph import Graph, Node, Output

GIVEN, RESULT = -10, -20  # the page's numbers of what goes in, and of what comes out
CATEGORY = "Motion"
EDGE, ROW = 160, 20  # pixels: width of both ends, height of a row


class Blueprint:
    """name: of the file and of the node. words: what the page's search finds it by."""

    def __init__(
        self, definitions: Mapping[str, Any], name: str, description: str, words: Sequence[str]
    ) -> None:
        self.graph = Graph(definitions)
        self.name, self.description, self.words = name, description, words
        self.given = Node(GIVEN, "", None, 0)
        self.results: list[tuple[str, Output]] = []

    def given_input(self, name: str, kind: str) -> Output:
        """Something that goes in, to connect to nodes inside, one or several."""
        self.given.outputs.append({"name": name, "type": kind, "links": []})
        return Output(self.given, len(self.given.outputs) - 1, kind)

    def result(self, name: str, source: Output) -> None:
        """Something that comes out."""
        self.results.append((name, source))

    def saved(self) -> dict[str, Any]:
        """As JSON values, laid out."""
        key = self._id("subgraph")
        return {
            "id": self._id("graph"),
            "revision": 0,
            "last_node_id": 1,
            "last_link_id": 0,
            "nodes": [self._node(key)],
            "links": [],
            "groups": [],
            "definitions": {"subgraphs": [self._definition(key)]},
            "config": {},
            "extra": {
                "BlueprintDescription": self.description,
                "BlueprintSearchAliases": list(self.words),
            },
            "version": 0.4,
        }

    def _node(self, key: str) -> dict[str, Any]:
        inputs = []
        for entry in self.given.outputs:
            kept: dict[str, Any] = {"name": entry["name"], "type": entry["type"], "link": None}
            if self._is_widget(entry):
                kept["widget"] = {"name": entry["name"]}
            inputs.append(kept)
        return {
            "id": 1,
            "type": key,
            "pos": [0, 0],
            "size": [360, 80 + ROW * (len(inputs) + len(self.results))],
            "flags": {},
            "order": 0,
            "mode": 0,
            "inputs": inputs,
            "outputs": [
                {"name": name, "type": source.kind, "links": None} for name, source in self.results
            ],
            "properties": {},
            "widgets_values": [],
            "title": self.name,
        }

    def _definition(self, key: str) -> dict[str, Any]:
        inner = self.graph.saved()
        links = [_link(*link) for link in inner["links"]]
        outputs = []
        for slot, (name, source) in enumerate(self.results):
            number = len(links) + 1
            links.append(_link(number, source.node.number, source.slot, RESULT, slot, source.kind))
            self._saved_output(inner, source)["links"].append(number)
            outputs.append(self._end("output", name, source.kind, [number]))
        right = max(node["pos"][0] + node["size"][0] for node in inner["nodes"])
        return {
            "id": key,
            "version": 1,
            "state": {
                "lastGroupId": len(inner["groups"]),
                "lastNodeId": inner["last_node_id"],
                "lastLinkId": len(links),
                "lastRerouteId": 0,
            },
            "revision": 0,
            "config": {},
            "name": self.name,
            "inputNode": _ends_node(GIVEN, -EDGE - 80, len(self.given.outputs)),
            "outputNode": _ends_node(RESULT, right + 80, len(outputs)),
            "inputs": [
                self._end("input", entry["name"], entry["type"], entry["links"])
                for entry in self.given.outputs
            ],
            "outputs": outputs,
            "widgets": [],
            "nodes": inner["nodes"],
            "groups": inner["groups"],
            "links": links,
            "extra": {},
            "category": CATEGORY,
            "description": self.description,
        }

    @staticmethod
    def _saved_output(inner: Mapping[str, Any], source: Output) -> dict[str, Any]:
        (node,) = (node for node in inner["nodes"] if node["id"] == source.node.number)
        return node["outputs"][source.slot]

    def _end(self, side: str, name: str, kind: str, links: Sequence[int]) -> dict[str, Any]:
        return {
            "id": self._id(f"{side}/{name}"),
            "name": name,
            "type": kind,
            "linkIds": list(links),
            "label": name.replace("_", " "),
        }

    def _is_widget(self, entry: Mapping[str, Any]) -> bool:
        sockets = [socket for node in self.graph.nodes for socket in node.inputs]
        return any(s["link"] in entry["links"] and "widget" in s for s in sockets)

    def _id(self, of: str) -> str:
        """Always the same, so that a new file of the same blueprint replaces the older one."""
        return str(uuid5(NAMESPACE_URL, f"motion-adapters/subgraphs/{self.name}/{of}"))


def _link(
    number: int, source: int, source_slot: int, target: int, target_slot: int, kind: str
) -> dict[str, Any]:
    return {
        "id": number,
        "origin_id": source,
        "origin_slot": source_slot,
        "target_id": target,
        "target_slot": target_slot,
        "type": kind,
    }


def _ends_node(number: int, left: float, rows: int) -> dict[str, Any]:
    return {"id": number, "bounding": [left, 0, EDGE, 48 + ROW * rows]}
