"""A prompt as a graph: nodes by id, and what is connected to what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PromptGraph:
    """nodes: by id, each with `class_type` and `inputs`, of which a link is [id, slot]. touched: by
    node, the inputs that a person has set.
    """

    nodes: Mapping[str, Mapping[str, Any]]
    touched: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def kind(self, node: str) -> str:
        """The id of the node's class; "" where there is no such node."""
        return str(self.nodes.get(node, {}).get("class_type", ""))

    def inputs(self, node: str) -> Mapping[str, Any]:
        return self.nodes.get(node, {}).get("inputs", {})

    def widget(self, node: str, name: str, default: Any = None) -> Any:
        """What stands there; the default where it is left out or comes from another node."""
        value = self.inputs(node).get(name, default)
        return default if _linked(value) else value

    def widgets(self, node: str) -> dict[str, Any]:
        """All that stand on the node."""
        return {n: v for n, v in self.inputs(node).items() if not _linked(v)}

    def chosen(self, node: str) -> dict[str, Any]:
        """Those that a person has set."""
        names = self.touched.get(node, ())
        return {n: v for n, v in self.widgets(node).items() if n in names}

    def source(self, node: str, name: str) -> str | None:
        """The node that an input comes from."""
        value: Any = self.inputs(node).get(name)
        return str(value[0]) if _linked(value) else None

    def output(self, node: str, name: str) -> tuple[str, int] | None:
        """The class of the node that an input comes from, and which of its outputs it is."""
        value: Any = self.inputs(node).get(name)
        return (self.kind(str(value[0])), int(value[1])) if _linked(value) else None

    def sources(self, node: str, prefix: str = "") -> list[str]:
        """The nodes that the inputs come from, of those whose names begin so."""
        found = (self.source(node, n) for n in self.inputs(node) if n.startswith(prefix))
        return [source for source in found if source is not None]

    def users(self, node: str) -> Iterator[tuple[str, str]]:
        """The nodes and inputs that are connected to it."""
        for other, entry in self.nodes.items():
            for name in entry.get("inputs", {}):
                if self.source(other, name) == node:
                    yield other, name


def _linked(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], (str, int))
