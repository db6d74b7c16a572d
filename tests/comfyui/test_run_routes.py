"""The routes of the training panel: bad input is answered with 4xx and a reason in JSON."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.comfyui.server import Server
from tests.comfyui.test_training import prompt

RUNS = "/motion_adapters/runs"


def refused(server: Server, method: str, path: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(f"http://{server.address}{path}", method=method)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=60)
    return error.value.code, json.loads(error.value.read())


def test_the_list_is_there_under_both_addresses(server: Server) -> None:
    assert isinstance(server.get(RUNS)["runs"], list)
    assert isinstance(server.get(f"/api{RUNS}")["runs"], list)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/none", 404),
        ("GET", "/none?since=0", 404),
        ("GET", "/none?since=abc", 400),
        ("GET", "/none?since=-1", 400),
        ("GET", "/%2e%2e%2foutside", 400),
        ("GET", "/..%2f..%2fetc", 400),
        ("GET", "/none/prompt", 404),
        ("GET", "/none/samples/step-1.mp4", 404),
        ("GET", "/none/samples/..%2fstate.json", 404),
        ("POST", "/none/stop", 404),
        ("POST", "/none/explode", 400),
        ("DELETE", "/none", 404),
        ("DELETE", "/%2e%2e%2foutside", 400),
    ],
)
def test_bad_input(server: Server, method: str, path: str, status: int) -> None:
    code, answer = refused(server, method, RUNS + path)
    assert (code, list(answer)) == (status, ["error"])
    assert answer["error"]


@pytest.mark.timeout(900)
def test_a_run_that_is_asked_for_anew_each_time_keeps_what_to_queue(server: Server) -> None:
    """ComfyUI marks such a node's inputs with a number that JSON has not."""
    for part in (1, 2):
        assert server.run(prompt("anew", steps=1, resume="new"), 400.0).error is None, part
    runs = [run for run in server.get(RUNS)["runs"] if run["title"] == "anew"]
    assert [run["state"] for run in runs] == ["finished", "finished"]
    kept = server.get(f"{RUNS}/{runs[0]['id']}/prompt")["output"]
    assert kept["3"]["inputs"]["resume"] == "new"
    assert all(set(node) <= {"class_type", "inputs", "_meta"} for node in kept.values())


@pytest.mark.timeout(900)
def test_what_waits_to_train_is_told(server: Server) -> None:
    """The prompt that runs and the one behind it, until both are cancelled."""
    running = server.queue(prompt("waits", steps=5000), "a page")
    pending = server.queue(prompt("behind", steps=5000), "a page")
    told = {entry["prompt_id"]: entry for entry in until(lambda: waiting_for(server, running))}
    assert [told[name]["is_running"] for name in (running, pending)] == [True, False]
    assert [told[name]["nodes"] for name in (running, pending)] == [["3"], ["3"]]
    assert {entry["workflow_id"] for entry in told.values()} == {""}
    assert {entry["client_id"] for entry in told.values()} == {"a page"}
    server.post("/queue", {"delete": [pending]})
    server.post("/interrupt", {"prompt_id": running})
    until(lambda: server.get("/motion_adapters/waiting")["waiting"] == [])
    assert isinstance(server.get("/motion_adapters/waiting")["libraries"], bool)


def waiting_for(server: Server, running: str) -> list[dict[str, Any]]:
    """All that waits, once this prompt runs."""
    waiting = server.get("/motion_adapters/waiting")["waiting"]
    runs = [entry["prompt_id"] for entry in waiting if entry["is_running"]]
    return waiting if runs == [running] else []


def until(what: Callable[[], Any], seconds: float = 120.0) -> Any:
    """What it gives, once it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def run_called(server: Server, title: str) -> dict[str, Any] | None:
    runs = [run for run in server.get(RUNS)["runs"] if run["title"] == title]
    return server.get(f"{RUNS}/{runs[0]['id']}") if runs else None


def stop_and_keep_after(server: Server, title: str, step: int) -> None:
    """Presses the button once the run has done so many steps."""
    deadline = time.monotonic() + 400.0
    while time.monotonic() < deadline:
        run = run_called(server, title)
        if run is not None and run["state"] == "running" and run["step"] >= step:
            server.post(f"{RUNS}/{run['id']}/stop", {})
            return
        time.sleep(0.02)


@pytest.mark.timeout(1500)
def test_resume_goes_on_with_just_this_run_each_time(server: Server) -> None:
    """ComfyUI has the node's outputs in its cache after each stop, and would answer from there."""
    title, queued = "resumed", prompt("resumed", steps=40, inversion_steps=0)
    for step in (1, 0):  # 0: in the step after the one that it goes on from
        presser = threading.Thread(target=stop_and_keep_after, args=(server, title, step))
        presser.start()
        assert server.run(queued, 400.0).error is None
        presser.join()
        stopped = run_called(server, title)
        assert stopped is not None and stopped["can_resume"] and stopped["step"] < 40
        queued = server.get(f"{RUNS}/{stopped['id']}/prompt")["output"]
        assert queued["3"]["inputs"]["resume_run"] == stopped["id"]
    assert server.run(queued, 400.0).error is None
    run = run_called(server, title)
    assert run is not None and (run["state"], run["step"], run["part"]) == ("finished", 40, 3)
    names = [f"resumed{number}.safetensors" for number in ("", "-2", "-3")]
    assert run["saved_as"] == names
    queued["3"]["inputs"]["resume_run"] = "gone"
    refused_prompt = server.run(queued, 400.0)
    assert refused_prompt.error is not None and "no longer exists" in refused_prompt.error
