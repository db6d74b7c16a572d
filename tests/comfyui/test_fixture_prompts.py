"""Workflows and nodes of version 0.1.0: saved prompts are still accepted, nodes still fit them.

See tests/fixtures/v0.1.0/README.md for how the prompts and the record of the nodes were made.
"""

from __future__ import annotations

import os
import time
import urllib.error
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.comfyui.node_signatures import Signature, signatures
from tests.comfyui.place import ComfyPlace
from tests.comfyui.placeholders import make_placeholders
from tests.comfyui.server import Prompt, Server, serve
from tests.fixture_files import read_json

FILES: Mapping[str, list[str]] = read_json("workflow_files.json")
NODES: Mapping[str, Signature] = read_json("nodes.json")
# Workflows that need another pack, and the variable that says where it is.
VARIANTS = {
    "apply-with-animatediff-evolved": "COMFYUI_EVOLVED_PATH",
    "train-with-videohelpersuite": "COMFYUI_VIDEOHELPER_PATH",
}
PLAIN = [name for name in FILES if name not in VARIANTS]


def fitted(prompt: Prompt, definitions: Mapping[str, Any]) -> Prompt:
    """The prompt with what ComfyUI's own nodes ask for in some versions and not in others: a video
    codec is an input of its own only in older ones. This pack's nodes stay as they were saved.
    """
    nodes = {}
    for key, node in prompt.items():
        required = definitions[node["class_type"]]["input"].get("required", {})
        more = {} if node["class_type"] in NODES else dict(_defaults(required))
        nodes[key] = {**node, "inputs": {**more, **node["inputs"]}}
    return nodes


def _defaults(required: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, spec in required.items():
        options = spec[1] if len(spec) > 1 else {}
        choices = spec[0] if isinstance(spec[0], list) else options.get("options")
        if "default" in options:
            yield name, options["default"]
        elif choices and not isinstance(choices[0], Mapping):
            yield name, choices[0]


def assert_accepted(server: Server, name: str) -> None:
    """Every output of the prompt passes ComfyUI's checks; then it is taken off the queue again."""
    make_placeholders(server.base, FILES[name])
    prompt = fitted(read_json(f"workflows/{name}.json"), server.get("/object_info"))
    try:
        answer = server.post("/prompt", {"prompt": prompt})
    except urllib.error.HTTPError as error:
        pytest.fail(error.read().decode())
    assert answer["node_errors"] == {}
    server.post("/queue", {"clear": True})
    for _ in range(600):
        if not server.get("/queue")["queue_running"]:
            return
        server.post("/interrupt", {})
        time.sleep(0.1)
    pytest.fail(f"{name} could not be interrupted:\n{server.tail}")


@pytest.fixture(scope="module")
def now(server: Server) -> dict[str, Signature]:
    return signatures(server.get("/object_info"))


@pytest.mark.parametrize("name", PLAIN)
def test_prompts_are_accepted(name: str, server: Server) -> None:
    assert_accepted(server, name)


@pytest.mark.parametrize("name", VARIANTS)
def test_prompts_with_another_pack_are_accepted(
    name: str, comfyui: ComfyPlace, tmp_path: Path
) -> None:
    other = os.environ.get(VARIANTS[name])
    if not other:
        pytest.skip(f"{VARIANTS[name]} is not set: no folder of that pack to try {name} with")
    with serve(comfyui, tmp_path, more_packs=[Path(other)]) as server:
        assert_accepted(server, name)


@pytest.mark.parametrize("node", NODES)
def test_inputs_are_still_there(node: str, now: Mapping[str, Signature]) -> None:
    """By id, with their type and every choice that they had. Their defaults are in the prompts."""
    inputs: Mapping[str, Any] = now[node]["inputs"]
    for name, before in NODES[node]["inputs"].items():
        assert name in inputs
        after = inputs[name]
        assert after["type"] == before["type"], name
        assert set(before.get("choices", ())) <= set(after.get("choices", ())), name


@pytest.mark.parametrize("node", NODES)
def test_no_input_has_come_that_saved_prompts_lack(node: str, now: Mapping[str, Signature]) -> None:
    """Later inputs are optional; a new choice of a dynamic combo may ask for whatever it needs."""
    before, after = NODES[node]["inputs"], now[node]["inputs"]
    choices = {name.rpartition(" (")[2] for name in before if " (" in name}
    demanded = [
        name
        for name, found in after.items()
        if found["required"] and not before.get(name, {"required": False})["required"]
    ]
    assert [
        name for name in demanded if " (" not in name or name.rpartition(" (")[2] in choices
    ] == []


@pytest.mark.parametrize("node", NODES)
def test_outputs_are_still_in_their_places(node: str, now: Mapping[str, Signature]) -> None:
    """Links name them by number; more may follow."""
    before = NODES[node]["outputs"]
    assert now[node]["outputs"][: len(before)] == before
