"""What saved workflows need of the pack's nodes: ids, inputs, choices, outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.comfyui.server import PACK

Signature = dict[str, Any]


def signatures(definitions: Mapping[str, Any]) -> dict[str, Signature]:
    """By node id, of this pack's nodes in /object_info: the inputs by their ids in a prompt, and
    the outputs in order. An input of a dynamic combo's choice is "combo.field (choice)".
    """
    return {
        node: {
            "inputs": dict(_inputs(definition["input"])),
            "outputs": [
                {"type": kind, "name": name}
                for kind, name in zip(definition["output"], definition["output_name"], strict=True)
            ],
        }
        for node, definition in sorted(definitions.items())
        if definition["python_module"].endswith(PACK)
    }


def _inputs(
    groups: Mapping[str, Any], before: str = "", after: str = ""
) -> Iterator[tuple[str, Signature]]:
    for group in ("required", "optional"):
        for name, spec in groups.get(group, {}).items():
            kind, options = spec[0], spec[1] if len(spec) > 1 else {}
            keys = (c["key"] if isinstance(c, dict) else c for c in options.get("options", ()))
            choices = [key for key in keys if not re.search(r"[./\\]", str(key))]  # no user's files
            found: Signature = {"type": kind, "required": group == "required"}
            if "default" in options:
                found["default"] = options["default"]
            if choices:
                found["choices"] = choices
            yield f"{before}{name}{after}", found
            for choice in options.get("options", ()):
                if isinstance(choice, dict):
                    inside = f" ({choice['key']})"
                    yield from _inputs(choice["inputs"], f"{before}{name}.", after + inside)
