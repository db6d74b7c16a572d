"""What suits each node of a prompt, by its input: the same that runs where the input is left out.

In: a prompt, where its files lie, and what words become here. Out: an answer for each node that
can be told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .answer import Answer, Here
from .of_sampling import of_clip, of_sampling
from .of_training import SETTINGS_NODES, of_settings, of_training
from .prompt_graph import PromptGraph

_KINDS: Mapping[str, Callable[[PromptGraph, str, Here], Answer | None]] = {
    "TrainMotionAdapter": of_training,
    "MotionClip": of_clip,
    "MotionClipsFromFolder": of_clip,
    "SampleMotionVideo": of_sampling,
    **dict.fromkeys(SETTINGS_NODES, of_settings),
}


def answers(
    prompt: Mapping[str, Any], here: Here, touched: Mapping[str, Sequence[str]] | None = None
) -> dict[str, dict[str, Any]]:
    """By node; nodes whose base cannot be told have none. touched: see `PromptGraph`: what suits
    may depend on it, as a LoRA has another learning rate than whole weights.
    """
    graph = PromptGraph(prompt, touched or {})
    found = {node: _answer(graph, node, here) for node in prompt}
    return {node: asdict(answer) for node, answer in found.items() if answer is not None}


def _answer(graph: PromptGraph, node: str, here: Here) -> Answer | None:
    told = _KINDS.get(graph.kind(node))
    return None if told is None else told(graph, node, here)
