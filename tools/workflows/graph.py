"""A ComfyUI graph in the form in which the page saves it (LiteGraph, version 0.4).

In: nodes by type with values by name, as a person would set them, and the definitions that a
running ComfyUI gives in /object_info. Out: the JSON that the page opens: widgets' values in the
order in which the page makes them, links by number, positions in columns, groups around them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", DYNAMIC_COMBO)
UPLOADS = ("image_upload", "video_upload")
SEEDS = ("seed", "noise_seed")
MENU = "objective"
SUITED = "motion_adapters_suited"  # where web/lib/suited keeps what it has filled
SAVED_BY_NAME = "VHS_"  # VideoHelperSuite's own way

CODE = re.compile(r"`([^`\n]+)`")  # in a line of Markdown
WIDTH, COLUMN_GAP, ROW_GAP = 330, 70, 60
WIDER = {"TrainMotionAdapter": 460}  # for its panel
TITLE, SLOT, WIDGET, TEXT = 34, 20, 26, 96  # heights in pixels
GROUP_TITLE, GROUP_MARGIN = 44, 24
# "first": see web/lib/graph/first_view.js.
VIEW: Mapping[str, Any] = {"scale": 0.8, "offset": [90, 140], "first": True}


@dataclass(frozen=True)
class Output:
    """One output of a node, to connect."""

    node: Node
    slot: int
    kind: str


@dataclass(eq=False)
class Node:
    """A node in the making. column: from the left, 0 and up."""

    number: int
    kind: str
    title: str | None
    column: int
    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)
    height: int = 0
    width: int = WIDTH
    pos: tuple[int, int] = (0, 0)
    colours: tuple[str, str] | None = None

    def out(self, name: str) -> Output:
        """The output of a name."""
        for slot, output in enumerate(self.outputs):
            if output["name"] == name:
                return Output(self, slot, output["type"])
        names = [output["name"] for output in self.outputs]
        raise KeyError(f"{self.kind} has no output {name!r}, but {names}")


class Graph:
    """Nodes, links and groups. definitions: /object_info."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self.definitions = definitions
        self.nodes: list[Node] = []
        self.links: list[list[Any]] = []
        self.groups: list[tuple[str, Sequence[Node], str]] = []

    def node(
        self,
        kind: str,
        column: int,
        title: str | None = None,
        models: Sequence[Mapping[str, str]] = (),
        shows: int = 0,
        suited: Mapping[str, Any] | None = None,
        **given: Any,
    ) -> Node:
        """Adds a node.

        given: values of widgets, of a dynamic combo's fields as `combo__field`, and `Output`s for
        what is connected; what is not given keeps its default. models: files that the page offers
        to fetch if they are missing (name, url, directory). shows: pixels of height for a
        picture or a panel on the node. suited: what suits its base, named as `given`, which wins;
        the page may change it as it may a new node's.

        Raises:
            KeyError: an input of that name does not exist.
        """
        definition = self.definitions[kind]
        node = Node(len(self.nodes) + 1, kind, title, column, width=WIDER.get(kind, WIDTH))
        node.properties = {"Node name for S&R": kind}
        if models:
            node.properties["models"] = list(models)
        for name, output in zip(definition["output_name"], definition["output"], strict=True):
            kept = output if isinstance(output, str) else "COMBO"
            node.outputs.append({"name": name, "type": kept, "links": []})
        left = {**(suited or {}), **given}
        self._add_sockets(node, definition["input"], left)
        texts = self._add_widgets(node, definition["input"], left, "")
        if left:
            raise KeyError(f"{kind} has no input {', '.join(left)}")
        if suited is not None:
            node.properties[SUITED] = _filled(node, [name for name in suited if name not in given])
        rows = max(len(node.inputs), len(node.outputs))
        simple = len(node.values) - texts
        node.height = TITLE + SLOT * rows + WIDGET * simple + TEXT * texts + shows
        self.nodes.append(node)
        return node

    def note(self, column: int, text: str, title: str, height: int = 320) -> Node:
        """Adds a note in Markdown, which only the page shows. Code in a line becomes bold: the
        page's Vue nodes draw code dark on dark.
        """
        node = Node(len(self.nodes) + 1, "MarkdownNote", title, column)
        readable = CODE.sub(r"**\1**", text)
        node.values, node.height, node.colours = [readable], height, ("#432", "#653")
        self.nodes.append(node)
        return node

    def group(self, title: str, nodes: Sequence[Node], colour: str) -> None:
        """Draws a frame with a title around nodes."""
        self.groups.append((title, nodes, colour))

    def _add_sockets(
        self, node: Node, inputs: Mapping[str, Mapping[str, Any]], given: dict[str, Any]
    ) -> None:
        for group in ("required", "optional"):
            for name, spec in inputs.get(group, {}).items():
                kind, options = kind_of(spec)
                if kind in WIDGETS and not isinstance(given.get(name), Output):
                    continue
                entry: dict[str, Any] = {"name": name, "type": kind, "link": None}
                if group == "optional":
                    entry["shape"] = 7
                if kind in WIDGETS:
                    entry["widget"] = {"name": name}
                node.inputs.append(entry)
                source = given.get(name) if kind in WIDGETS else given.pop(name, None)
                if source is not None:
                    self._connect(source, node, entry)
                if kind in WIDGETS:
                    given[name] = options.get("default")

    def _connect(self, source: Output, node: Node, entry: dict[str, Any]) -> None:
        number = len(self.links) + 1
        slot = len(node.inputs) - 1
        self.links.append([number, source.node.number, source.slot, node.number, slot, source.kind])
        entry["link"] = number
        source.node.outputs[source.slot]["links"].append(number)

    def _add_widgets(
        self,
        node: Node,
        inputs: Mapping[str, Mapping[str, Any]],
        given: dict[str, Any],
        prefix: str,
    ) -> int:
        """Appends the widgets' values; returns how many of them are text boxes."""
        texts = 0
        for group in ("required", "optional"):
            for name, spec in inputs.get(group, {}).items():
                kind, options = kind_of(spec)
                if kind not in WIDGETS:
                    continue
                value = given.pop(f"{prefix}{name}", default_of(kind, options))
                node.values.append(value)
                node.names.append(f"{prefix}{name}")
                texts += bool(options.get("multiline"))
                if kind == DYNAMIC_COMBO:
                    chosen = next(o["inputs"] for o in options["options"] if o["key"] == value)
                    texts += self._add_widgets(node, chosen, given, f"{prefix}{name}__")
                more = companions(f"{prefix}{name}", kind, options)
                node.values += more
                node.names += [f"{name}+"] * len(more)
        return texts

    def saved(self) -> dict[str, Any]:
        """The graph as JSON values, laid out."""
        self._lay_out()
        return {
            "last_node_id": len(self.nodes),
            "last_link_id": len(self.links),
            "nodes": [self._saved_node(order, node) for order, node in enumerate(self.nodes)],
            "links": self.links,
            "groups": [
                self._saved_group(number, *group) for number, group in enumerate(self.groups, 1)
            ],
            "config": {},
            "extra": {"ds": VIEW},
            "version": 0.4,
        }

    def _lay_out(self) -> None:
        """Columns from the left, each from the top; the columns' widths are their widest node's."""
        left = 0
        for column in sorted({node.column for node in self.nodes}):
            here = [node for node in self.nodes if node.column == column]
            top = 0
            for node in here:
                node.pos = (left, top)
                top += node.height + ROW_GAP
            left += max(node.width for node in here) + COLUMN_GAP

    def _saved_node(self, order: int, node: Node) -> dict[str, Any]:
        saved: dict[str, Any] = {
            "id": node.number,
            "type": node.kind,
            "pos": list(node.pos),
            "size": [node.width, node.height],
            "flags": {},
            "order": order,
            "mode": 0,
            "inputs": node.inputs,
            "outputs": node.outputs,
            "properties": node.properties,
            "widgets_values": node.values,
        }
        if node.kind.startswith(SAVED_BY_NAME):
            saved["widgets_values"] = dict(zip(node.names, node.values, strict=True))
        if node.title:
            saved["title"] = node.title
        if node.colours:
            saved["color"], saved["bgcolor"] = node.colours
        return saved

    @staticmethod
    def _saved_group(number: int, title: str, nodes: Sequence[Node], colour: str) -> dict[str, Any]:
        left = min(node.pos[0] for node in nodes) - GROUP_MARGIN
        top = min(node.pos[1] for node in nodes) - TITLE - GROUP_TITLE
        right = max(node.pos[0] + node.width for node in nodes) + GROUP_MARGIN
        bottom = max(node.pos[1] + node.height for node in nodes) + GROUP_MARGIN
        bounding = [left, top, right - left, bottom - top]
        return {
            "id": number,
            "title": title,
            "bounding": bounding,
            "color": colour,
            "font_size": 24,
            "flags": {},
        }


def kind_of(spec: Sequence[Any]) -> tuple[str, Mapping[str, Any]]:
    """Type and options of an input; a bare list of choices is a COMBO of the older form."""
    options = dict(spec[1]) if len(spec) > 1 else {}
    if isinstance(spec[0], list):
        return "COMBO", {**options, "options": spec[0]}
    if options.get("forceInput"):
        return f"{spec[0]} ", options
    return spec[0], options


def default_of(kind: str, options: Mapping[str, Any]) -> Any:
    """What the page puts into a new widget."""
    if "default" in options:
        return options["default"]
    if kind == DYNAMIC_COMBO:
        return options["options"][0]["key"]
    if kind == "COMBO":
        return next(iter(options.get("options", [])), None)
    return {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False}[kind]


def companions(name: str, kind: str, options: Mapping[str, Any]) -> list[Any]:
    """Values of the widgets that the page adds behind one: what happens to a seed after a run
    (nothing, so that a run can be repeated), and an upload button.
    """
    if any(options.get(upload) for upload in UPLOADS):
        return ["image"]
    control = options.get("control_after_generate")
    fixed = kind == "INT" and (name in SEEDS if control is None else bool(control))
    return ["fixed"] if fixed else []


def _filled(node: Node, names: Sequence[str]) -> dict[str, Any]:
    """As web/lib/suited/suited_node.js keeps it."""
    values = dict(zip(node.names, node.values, strict=True))
    kept: dict[str, Any] = {"values": {name.replace("__", "."): values[name] for name in names}}
    return {**kept, "menu": values[MENU]} if MENU in values else kept
