"""Whose a run is: the graph's that it was queued from, and nobody's where a script queued it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from motion_adapters.nodes.host.folders import runs_folder
from motion_adapters.nodes.runs.watch import prompt_to_resume, run_registry, watched_run

PROMPT: dict[str, Any] = {"3": {"class_type": "TrainMotionAdapter", "inputs": {"steps": 2}}}


@pytest.mark.parametrize(
    ("extra", "workflow_id"),
    [
        ({"workflow": {"id": "a-graph", "nodes": []}}, "a-graph"),
        ({"workflow": {"nodes": []}}, ""),  # a graph without an id
        ({"workflow": {}}, "script"),  # as a page queues a script's run again
        ({}, "script"),
        (None, "script"),
    ],
)
def test_whose_a_run_is(comfy_base: Path, extra: dict[str, Any] | None, workflow_id: str) -> None:
    folder = runs_folder() / "whose-0"
    with watched_run(
        folder, node_id="3", prompt_id="p", prompt=PROMPT, extra_pnginfo=extra, title="whose"
    ):
        pass
    assert run_registry().summary(folder.name)["workflow_id"] == workflow_id
    # It can still be resumed from the list.
    resumed = prompt_to_resume(folder.name)["output"]["3"]["inputs"]
    assert resumed["resume_run"] == folder.name
    run_registry().delete(folder.name)
