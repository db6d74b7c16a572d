"""The one registry of training runs of this ComfyUI server, and how the Train node is watched.

    with watched_run(folder, node_id=…, prompt_id=…, prompt=…, extra_pnginfo=…, title=…) as run:
        result = train(…, sink=run, make_sample=…)   # samples go to folder/"samples"/"step-N.mp4"
        run.adapter_saved("zigzag.safetensors")      # the name in the loader's list

`run` is the trainer's event sink; it raises StopRun or CancelRun where a person asked for it, and
asks for checkpoints and samples. The clip that is learned goes to folder/"samples"/"reference.mp4".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import comfy.model_management
from server import PromptServer

from ..host.folders import runs_folder
from .registry.folder import SCRIPT, RunOrigin
from .registry.live_run import LiveRun
from .registry.registry import RunRegistry

EVENT = "motion_adapters.run"
RESUME_RUN, RESUME_PART = RESUMING = ("resume_run", "resume_part")


@cache
def run_registry() -> RunRegistry:
    """One for the whole server, as its pages follow every run whatever node made it."""
    cancelling = (comfy.model_management.InterruptProcessingException,)
    return RunRegistry(runs_folder(), _announce, cancelling)


@contextmanager
def watched_run(
    folder: Path,
    *,
    node_id: str | None,
    prompt_id: str | None,
    prompt: Mapping[str, Any] | None,
    extra_pnginfo: Mapping[str, Any] | None,
    title: str,
) -> Iterator[LiveRun]:
    """The event sink of a run in `runs_folder() / <run id>`, while its node prepares, trains and
    saves; what passes through is told to the pages.

    node_id, prompt and extra_pnginfo: the node's hidden inputs. title: what lists call the run.
    """
    workflow = (extra_pnginfo or {}).get("workflow") or {}  # prompts from scripts have none
    origin = RunOrigin(
        node_id=str(node_id or ""),
        prompt_id=str(prompt_id or ""),
        workflow_id=str(workflow.get("id") or "") if workflow else SCRIPT,
        title=title,
        memory_total=_memory_total(),
    )
    kept = {"output": _queueable(prompt), "workflow": workflow} if prompt else None
    with run_registry().watch(folder, origin, kept) as run:
        yield run


def _queueable(prompt: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The prompt as a page queues it: ComfyUI notes in it what a node's inputs were recognised by,
    which for "new" is a number that JSON has not. Which run it went on with is not the prompt's.
    """
    return {
        node: {
            **{name: value for name, value in entry.items() if name != "is_changed"},
            "inputs": {k: v for k, v in entry["inputs"].items() if k not in RESUMING},
        }
        for node, entry in prompt.items()
    }


def prompt_to_resume(run_id: str) -> dict[str, Any]:
    """What is queued to go on with just this run: its prompt, with two inputs that its node has
    not. ComfyUI hands them to no node, but tells prompts apart by them: without the run's id it
    would answer from its cache where the graph is the same, and without the part where the run has
    been resumed before.
    """
    prompt, run = run_registry().prompt(run_id), run_registry().summary(run_id)
    node = prompt["output"].get(run["node_id"])
    if node is None:
        return prompt
    inputs = {**node["inputs"], RESUME_RUN: run_id, RESUME_PART: run["part"]}
    output = {**prompt["output"], run["node_id"]: {**node, "inputs": inputs}}
    return {**prompt, "output": output}


def resumed_run(prompt: Mapping[str, Any] | None, node_id: str | None) -> str:
    """The id of the run that a prompt asks its node to go on with, "" for none."""
    node = (prompt or {}).get(str(node_id)) or {}
    return str(node.get("inputs", {}).get(RESUME_RUN) or "")


def _announce(message: dict[str, Any]) -> None:
    PromptServer.instance.send_sync(EVENT, message)


def _memory_total() -> int:
    device = comfy.model_management.get_torch_device()
    return int(comfy.model_management.get_total_memory(device))
