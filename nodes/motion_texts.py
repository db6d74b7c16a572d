"""What a motion is, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..motion_core.adapter_files.inspection import adapter_facts, adapter_lines
from ..motion_core.adapters.base import names_of_scopes

if TYPE_CHECKING:
    from .sockets import Motion


def motion_text(motion: Motion) -> str:
    """Its name, all that its file says, what plays at which strength, and its noise."""
    facts = adapter_facts(motion.info, motion.adapters, len(motion.previews))
    shown = motion.info.shown or names_of_scopes(motion.adapters)
    noise = "none"
    if motion.inverted is not None:
        _, _, frames, height, width = motion.inverted.shape
        noise = f"{frames} frames of {width * 8}x{height * 8}"
    return "\n".join(
        [
            motion.name,
            *adapter_lines(facts),
            f"  plays       {', '.join(shown)} at strength {motion.strength:g}",
            f"  noise       {noise}",
        ]
    )
