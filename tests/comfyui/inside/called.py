"""Calls a node as ComfyUI's executor does."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io


def called(node: type[io.ComfyNode], resume_run: str = "", **inputs: Any) -> io.NodeOutput:
    """The node's output, called as ComfyUI's executor does. resume_run: as the page's Resume puts
    it into the prompt.
    """
    prompt = {"7": {"class_type": node.__name__, "inputs": {"resume_run": resume_run}}}
    hidden = {io.Hidden.unique_id: "7", io.Hidden.prompt: prompt, io.Hidden.extra_pnginfo: None}
    prepared = node.PREPARE_CLASS_CLONE({"hidden_inputs": hidden})
    with torch.inference_mode():
        return prepared.EXECUTE_NORMALIZED(**inputs)
