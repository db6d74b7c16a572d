"""Prompts in ComfyUI's queue that are to train something, before there is a run of them.

In: the queue's items as ComfyUI keeps them, (number, prompt id, prompt, extra data, outputs to
execute, …). Out: plain values for the pages, so that a panel says what happens from the press of
Run on, also after a reload and for what another page queued.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import resolve_name
from typing import Any

NODE = "TrainMotionAdapter"
# What every base imports from diffusers and transformers, which takes long once.
_LIBRARIES, _FUNCTION = "...motion_core.backbones.files.components", "load_vae"

Prompt = Mapping[str, Mapping[str, Any]]
Item = Sequence[Any]


def waiting_prompts(running: Sequence[Item], pending: Sequence[Item]) -> list[dict[str, Any]]:
    """One entry for each prompt with training nodes, in the order in which they come.

    nodes: their ids. runs: the runs that they are asked to resume. workflow_id: of the graph that
    was queued, "" for a script's. client_id: of the page that queued it.
    """
    waiting = sorted(pending, key=lambda item: item[0])
    items = [*((item, True) for item in running), *((item, False) for item in waiting)]
    return [entry for item, is_running in items if (entry := _entry(item, is_running))["nodes"]]


def libraries_loaded() -> bool:
    """Whether the libraries of the bases are imported; a module in the middle of its imports is
    listed already, but has nothing of its own yet.
    """
    return hasattr(sys.modules.get(resolve_name(_LIBRARIES, __package__)), _FUNCTION)


def _entry(item: Item, is_running: bool) -> dict[str, Any]:
    _, prompt_id, prompt, extra, outputs = item[:5]
    training = sorted(n for n in _needed(prompt, outputs) if prompt[n].get("class_type") == NODE)
    asked = (prompt[node]["inputs"].get("resume_run") for node in training)
    workflow = (extra.get("extra_pnginfo") or {}).get("workflow") or {}
    return {
        "prompt_id": prompt_id,
        "client_id": str(extra.get("client_id") or ""),
        "workflow_id": str(workflow.get("id") or ""),
        "is_running": is_running,
        "nodes": training,
        "runs": [str(run) for run in asked if run],
    }


def _needed(prompt: Prompt, outputs: Sequence[str]) -> set[str]:
    """The outputs and all that they come from."""
    found: set[str] = set()
    left = [node for node in outputs if node in prompt]
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left.extend(_sources(prompt, node))
    return found


def _sources(prompt: Prompt, node: str) -> Iterator[str]:
    for value in prompt[node].get("inputs", {}).values():
        if isinstance(value, list) and len(value) == 2 and str(value[0]) in prompt:
            yield str(value[0])
