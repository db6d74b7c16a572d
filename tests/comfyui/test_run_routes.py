"""The routes of the training panel: bad input is answered with 4xx and a reason in JSON."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
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
