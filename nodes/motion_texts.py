"""What a motion is, for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..motion_core.adapter_files.inspection import (
    adapter_facts,
    adapter_lines,
    file_lines,
    inspect_file,
)

if TYPE_CHECKING:
    from ..motion_core.adapter_files.loaded import LoadedAdapter


def motion_text(motion: LoadedAdapter) -> str:
    """Its name, all that its file says, what is applied at which strength, and its noise."""
    facts = adapter_facts(motion.info, motion.adapters, len(motion.previews))
    noise = "none"
    if motion.inverted is not None:
        _, _, frames, height, width = motion.inverted.shape
        noise = f"{frames} frames of {width * 8}x{height * 8}"
    return "\n".join(
        [
            motion.name,
            *adapter_lines(facts),
            f"  applied     {', '.join(motion.shown)} at strength {motion.strength:g}",
            f"  noise       {noise}",
        ]
    )


def file_text(path: Path) -> str:
    """What a file is, and of a LoRA which programs can load it."""
    return "\n".join(file_lines(inspect_file(path)))
