"""Motion Adapters: learn the motion of a clip and apply it to new subjects, in ComfyUI.

Imports happen only when ComfyUI asks for them, so that test collection and tools that only read
this file need neither ComfyUI nor diffusers.
"""

from __future__ import annotations

from typing import Any

WEB_DIRECTORY = "web"


async def comfy_entrypoint() -> Any:
    """The pack's ComfyExtension; ComfyUI calls this once at its start."""
    from .nodes.extension import MotionAdapters

    return MotionAdapters()
