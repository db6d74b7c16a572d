"""How people find the nodes: words that the page's search takes for a node's name.

ComfyUI 0.8.0 has no place for them, so they are left out there. `essentials_category` is not used:
the page of 0.33.0 lists a node that has one among ComfyUI's own and no longer among the extensions.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from comfy_api.latest import io

_KNOWN = {field.name for field in dataclasses.fields(io.Schema)}  # type: ignore[arg-type]


def found_by(*words: str) -> dict[str, Any]:
    """Arguments of a Schema."""
    return {"search_aliases": list(words)} if "search_aliases" in _KNOWN else {}
