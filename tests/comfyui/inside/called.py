"""Calls a node as ComfyUI's executor does."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io


def called(node: type[io.ComfyNode], **inputs: Any) -> io.NodeOutput:
    """The node's output; inputs by their names, under inference_mode and with a node's id."""
    hidden = {io.Hidden.unique_id: "7", io.Hidden.prompt: {}, io.Hidden.extra_pnginfo: None}
    prepared = node.PREPARE_CLASS_CLONE({"hidden_inputs": hidden})
    with torch.inference_mode():
        return prepared.EXECUTE_NORMALIZED(**inputs)
