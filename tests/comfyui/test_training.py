"""A training that is queued, cancelled and queued again, over the server's own addresses."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from tests.comfyui.server import Server

STEPS = 16
PATIENCE = 500.0  # seconds; a busy machine takes long to load the libraries


def prompt(name: str, **changed: Any) -> dict[str, Any]:
    """Sample base → clip → training, in API form."""
    clip = {
        "video": ["1", 4],
        "prompt": "a red circle zigzagging on a checkered background",
        **{"frames": 8, "start_seconds": 0.0, "stride": 1, "fps": 0.0},
        **{"width": 64, "height": 64, "fit": "crop", "windows": 1},
    }
    training = {
        "base": ["1", 3],
        "clips": ["2", 0],
        "objective": "motion-director",
        **{"objective.rank": 4, "objective.beta": 1.0, "objective.spatial_dropout_p": 0.2},
        **{"steps": STEPS, "learning_rate": 0.0, "seed": 0, "precision": "auto"},
        **{"memory": "auto", "sample_prompt": "", "sample_every": 0, "save_every": 10},
        **{"inversion_steps": 2, "name": name, "resume": "continue"},
        **changed,
    }
    base = {"base": "animatediff", "checkpoint": "standard"}
    return {
        "1": {"class_type": "SampleMotionBase", "inputs": base},
        "2": {"class_type": "MotionClip", "inputs": clip},
        "3": {"class_type": "TrainMotionAdapter", "inputs": training},
    }


def run_folder(server: Server, name: str) -> Path:
    (folder,) = (server.output / "motion_training").glob(f"{name}-*")
    return folder


def steps_done(server: Server, name: str) -> int:
    found = list((server.output / "motion_training").glob(f"{name}-*/metrics.jsonl"))
    return len(found[0].read_text().splitlines()) if found else 0


def cancel_after(server: Server, name: str, steps: int, seen: list[int]) -> None:
    """Presses Cancel once the run has done so many steps; notes how many it had done then."""
    deadline = time.monotonic() + PATIENCE
    while steps_done(server, name) < steps and time.monotonic() < deadline:
        time.sleep(0.005)
    server.post("/interrupt", {})
    seen.append(steps_done(server, name))


@pytest.mark.timeout(1800)
def test_cancel_and_go_on(server: Server) -> None:
    seen: list[int] = []
    presser = threading.Thread(target=cancel_after, args=(server, "cancelled", 3, seen))
    presser.start()
    stopped = server.run(prompt("cancelled"), PATIENCE)
    presser.join()
    assert stopped.interrupted and stopped.error is None
    state = json.loads((run_folder(server, "cancelled") / "state.json").read_text())
    assert state["state"] == "cancelled"
    assert seen[0] <= state["step"] <= seen[0] + 1 < STEPS

    rest = server.run(prompt("cancelled"), PATIENCE)
    assert rest.error is None and not rest.interrupted
    state = json.loads((run_folder(server, "cancelled") / "state.json").read_text())
    assert state == {"state": "finished", "step": STEPS, "total": STEPS}
    adapter = server.base / "models" / "motion_adapters" / "cancelled.safetensors"
    assert adapter.is_file()

    # A shorter sampling of the same run in a graph that ComfyUI has not seen: nothing is trained.
    written = adapter.stat().st_mtime_ns
    again = server.run(prompt("cancelled", sample_every=7), PATIENCE)
    assert again.error is None and adapter.stat().st_mtime_ns == written


def changed(node: str, **inputs: Any) -> dict[str, Any]:
    """The training's prompt with other inputs of a node."""
    made = prompt("refused")
    made[node] = {**made[node], "inputs": {**made[node]["inputs"], **inputs}}
    return made


VIDEO = {"base": ["1", 3], "prompt": " ", "seed": 0}


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (changed("3", name="../outside"), "is used as a file name"),
        (changed("3", inversion_steps=1), "inversion_steps is 1; expected 2 to 1000"),
        (changed("2", prompt=""), "prompt is empty. Describe the clip"),
        (changed("2", width=100), "width is 100; expected a multiple of 8"),
        (
            {**prompt("refused"), "4": {"class_type": "SampleMotionVideo", "inputs": VIDEO}},
            "prompt is empty. Describe what the video should show.",
        ),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_queued(
    server: Server, made: dict[str, Any], reason: str
) -> None:
    """ComfyUI runs what else is in the prompt, such as the clip, which can be shown."""
    if "4" in made:
        made["5"] = {"class_type": "PreviewImage", "inputs": {"images": ["4", 0]}}
    try:
        answer = json.dumps(server.post("/prompt", {"prompt": made})["node_errors"])
    except urllib.error.HTTPError as error:  # nothing is left to run
        answer = error.read().decode()
    assert reason in answer


@pytest.mark.timeout(1800)
def test_a_script_knows_what_was_written_and_no_graph_takes_its_run(server: Server) -> None:
    """Pictures come over the socket while samples are made, the bar counts one scale, /history
    names the file and the sample, and the run is no graph's.
    """
    made = prompt("scripted", sample_every=8, inversion_steps=3)
    finished = server.run(made, PATIENCE, preview_method="auto")
    assert finished.error is None
    (adapter,) = finished.outputs["3"]["adapters"]
    assert adapter["name"] == "scripted.safetensors" and Path(adapter["path"]).is_file()
    assert adapter["steps"] == STEPS
    (sample,) = finished.outputs["3"]["samples"]
    assert sample["filename"] == f"step-{STEPS}.mp4" and sample["type"] == "output"
    query = urllib.parse.urlencode(sample)
    assert server.read(f"/view?{query}")[4:8] == b"ftyp"

    run = server.get(f"/motion_adapters/runs/{adapter['run']}")
    assert (run["node_id"], run["workflow_id"]) == ("3", "script")
    assert finished.pictures >= 2
    told = [data for data in finished.of_type("progress") if data.get("node") == "3"]
    shares = [data["value"] / data["max"] for data in told]
    assert len({data["max"] for data in told}) == 1 and shares == sorted(shares)
    assert shares[-1] == 1.0
