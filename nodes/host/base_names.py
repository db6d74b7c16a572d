"""Which base a node gives, from what stands on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

SAMPLE_MODULE = "shape world (ships with the pack)"
"""In the menus of motion modules: the sample base's."""

_BASES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "LoadAnimateDiffBase": lambda inputs: "animatediff",
    "AnimateDiffBaseFromModel": lambda inputs: (
        "shape-world-animatediff" if inputs.get("motion_module") == SAMPLE_MODULE else "animatediff"
    ),
    "LoadZeroScope": lambda inputs: "zeroscope",
    "SampleMotionBase": lambda inputs: f"shape-world-{inputs.get('base', 'animatediff')}",
}


def base_name(kind: str, inputs: Mapping[str, Any]) -> str | None:
    """The name in `BASES`; None of a node that gives none. kind: the id of the node's class."""
    named = _BASES.get(kind)
    return None if named is None else named(inputs)
