"""The pack as ComfyUI sees it: folders, and every node by its class.

A file of nodes that cannot be imported takes its own nodes away and no others: ComfyUI says no more
than the error's text, so the traceback is logged here.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping, Sequence

from comfy_api.latest import ComfyExtension, io

from .host.folders import register_folders
from .runs.routes import add_run_routes
from .suited.routes import add_suited_route

logger = logging.getLogger(__name__)

# By topic file, in the order of the menu. A class has its node's id as its name.
NODES: Mapping[str, Sequence[str]] = {
    "clips": ("MotionClip", "MotionClipsFromFolder", "CombineMotionClips"),
    "bases": (
        "LoadAnimateDiffBase",
        "AnimateDiffBaseFromModel",
        "LoadZeroScope",
        "SampleMotionBase",
    ),
    "sample_clip": ("SampleMotionClip",),
    "methods": (),  # one a method, which it makes itself
    "train": ("TrainMotionAdapter",),
    "adapters": ("LoadMotionAdapter", "SaveMotionAdapter", "InspectMotionAdapter"),
    "adapter_forms": ("BlendMotions", "ConvertMotionAdapter"),
    "apply": ("ApplyMotionToAnimateDiff", "ApplyMotionToAnimateDiffEvolved"),
    "apply_zeroscope": ("ApplyMotionToZeroScope",),
    "sample": ("MotionNoise", "SampleMotionVideo"),
    "evaluate": ("EvaluateMotion",),
    "recaption": ("RecaptionFrames",),
}


class MotionAdapters(ComfyExtension):
    """Registers folders and routes when it is made: ComfyUI 0.8 never calls `on_load`."""

    def __init__(self) -> None:
        register_folders()
        add_run_routes()
        add_suited_route()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [node for topic, names in NODES.items() for node in _nodes(topic, names)]


def _nodes(topic: str, names: Sequence[str]) -> list[type[io.ComfyNode]]:
    try:
        module = importlib.import_module(f".{topic}", __package__)
        return [*(getattr(module, name) for name in names), *getattr(module, "MADE", ())]
    except Exception:
        logger.exception("Motion Adapters: %s cannot be loaded", ", ".join(names) or topic)
        return []
