"""Calls a node as ComfyUI's executor does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from comfy_api.latest import io

NODE = "7"
"""The id of the node that is called."""


def called(
    node: type[io.ComfyNode],
    resume_run: str = "",
    others: Mapping[str, Any] | None = None,
    **inputs: Any,
) -> io.NodeOutput:
    """The node's output, called as ComfyUI's executor does. resume_run: as the page's Resume puts
    it into the prompt. others: the prompt's other nodes.
    """
    own = {"class_type": node.__name__, "inputs": {"resume_run": resume_run}}
    prompt = {NODE: own, **(others or {})}
    hidden = {io.Hidden.unique_id: NODE, io.Hidden.prompt: prompt, io.Hidden.extra_pnginfo: None}
    prepared = node.PREPARE_CLASS_CLONE({"hidden_inputs": hidden})
    with torch.inference_mode():
        return prepared.EXECUTE_NORMALIZED(**inputs)
