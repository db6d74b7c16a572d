"""The subgraph blueprints that ship: the server offers them, and what is in them runs.

The page makes a prompt of a subgraph by putting its nodes in its place, as is done here: what goes
in is connected to the nodes that it leads to, or stands on their widgets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.comfyui.place import REPOSITORY
from tests.comfyui.placeholders import make_placeholders
from tests.comfyui.server import PACK, Server
from tests.comfyui.ui_prompts import api_prompt

FILES = {file.stem: file for file in sorted((REPOSITORY / "subgraphs").glob("*.json"))}
GIVEN, RESULT = -10, -20
ZIGZAG = "a red circle zigzagging on a checkered background"
SUBJECT = "a blue square zigzagging on a white background"
# What stands on their menus until somebody chooses.
NAMED = (
    "models/animatediff_models/v3_sd15_mm.ckpt",
    "models/motion_adapters/my-motion.safetensors",
)
BASE = 100  # ids of the nodes around the subgraph begin here
SAMPLE_MODULE = "shape world (ships with the pack)"
QUICK = {
    "TrainMotionAdapter": {"steps": 2, "inversion_steps": 0, "sample_steps": 2},
    "SampleMotionVideo": {"steps": 2, "width": 64, "height": 64, "frames": 16, "noise_prior": 0.0},
    "MotionClip": {"width": 64, "height": 64},
}


@pytest.fixture(scope="module")
def definitions(server: Server) -> Mapping[str, Any]:
    make_placeholders(server.base, NAMED)
    return server.get("/object_info")


def definition_of(name: str) -> dict[str, Any]:
    (subgraph,) = json.loads(FILES[name].read_text("utf-8"))["definitions"]["subgraphs"]
    return subgraph


def placed(
    name: str, given: Mapping[str, Any], definitions: Mapping[str, Any]
) -> tuple[dict[str, dict[str, Any]], dict[str, list[Any]]]:
    """The prompt of the nodes inside, and what comes out of them by name. given: what goes in, by
    name: a value, or a connection as a prompt has it.
    """
    subgraph = definition_of(name)
    ends = {link["id"]: link for link in subgraph["links"]}
    inner = [link for link in ends.values() if link["origin_id"] > 0 and link["target_id"] > 0]
    kept = {link["id"] for link in inner}
    nodes = json.loads(json.dumps(subgraph["nodes"]))
    sockets = {}
    for node in nodes:
        for socket in node["inputs"]:
            if socket["link"] not in (None, *kept):
                sockets[socket["link"]] = (str(node["id"]), socket["name"])
                socket["link"] = None
    order = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    workflow = {"nodes": nodes, "links": [[link[k] for k in order] for link in inner]}
    needed = {f"{node}.{name}" for node, name in sockets.values()}
    prompt = api_prompt(workflow, definitions, given=needed)
    for slot, entry in enumerate(subgraph["inputs"]):
        assert entry["name"] in given, entry["name"]
        for number in entry["linkIds"]:
            assert (ends[number]["origin_id"], ends[number]["origin_slot"]) == (GIVEN, slot)
            node, socket = sockets[number]
            prompt[node]["inputs"][socket] = given[entry["name"]]
    results = {}
    for slot, entry in enumerate(subgraph["outputs"]):
        (number,) = entry["linkIds"]
        link = ends[number]
        assert (link["target_id"], link["target_slot"]) == (RESULT, slot)
        results[entry["name"]] = [str(link["origin_id"]), link["origin_slot"]]
    for node in prompt.values():
        node["inputs"] |= QUICK.get(node["class_type"], {})
    return prompt, results


def sample_base() -> dict[str, dict[str, Any]]:
    inputs = {"base": "animatediff", "checkpoint": "standard"}
    return {str(BASE): {"class_type": "SampleMotionBase", "inputs": inputs}}


def output(definitions: Mapping[str, Any], name: str) -> list[Any]:
    """An output of the sample base."""
    return [str(BASE), definitions["SampleMotionBase"]["output_name"].index(name)]


def test_the_server_offers_them(server: Server) -> None:
    offered = {
        entry["name"]: (key, entry)
        for key, entry in server.get("/global_subgraphs").items()
        if entry["source"] == "custom_node"
    }
    assert (
        set(offered) == set(FILES) == {"Learn a motion", "Apply a motion", "Motion from one clip"}
    )
    for name, (key, entry) in offered.items():
        assert entry["info"]["node_pack"] == f"custom_nodes.{PACK}"
        data = server.get(f"/global_subgraphs/{key}")["data"]
        assert json.loads(data) == json.loads(FILES[name].read_text("utf-8"))


@pytest.mark.parametrize("file", FILES.values(), ids=lambda file: file.stem)
def test_they_are_ascii(file: Path) -> None:
    """ComfyUI 0.8.0 reads them in the encoding of the system's language."""
    assert file.read_bytes().isascii()


@pytest.mark.timeout(500)
def test_learning_and_applying(server: Server, definitions: Mapping[str, Any]) -> None:
    """One learns an adapter, the other applies its file in the KSampler."""
    given = {
        "base": output(definitions, "base"),
        "video": output(definitions, "clip"),
        "prompt": ZIGZAG,
        "sample_prompt": SUBJECT,
        "name": "blueprint",
    }
    prompt, results = placed("Learn a motion", given, definitions)
    preview = {"class_type": "PreviewImage", "inputs": {"images": results["samples"]}}
    finished = server.run({**sample_base(), **prompt, "200": preview}, timeout=400)
    assert finished.error is None, f"{finished.error}\n{server.tail}"
    assert len(finished.outputs["200"]["images"]) > 1
    (adapter,) = server.base.rglob("models/**/blueprint.safetensors")
    given = {
        "model": output(definitions, "MODEL"),
        "adapter": adapter.name,
        "strength": 1.0,
        "motion_module": SAMPLE_MODULE,
    }
    prompt, results = placed("Apply a motion", given, server.get("/object_info"))
    sampling = ksampler(results["MODEL"], definitions)
    finished = server.run({**sample_base(), **prompt, **sampling})
    assert finished.error is None, f"{finished.error}\n{server.tail}"


@pytest.mark.timeout(500)
def test_a_motion_from_one_clip(server: Server, definitions: Mapping[str, Any]) -> None:
    """From a checkpoint and a video to a video of another subject."""
    given = {name: output(definitions, name.upper()) for name in ("model", "clip", "vae")}
    given |= {
        "motion_module": SAMPLE_MODULE,
        "video": output(definitions, "clip"),
        "prompt": ZIGZAG,
        "new_prompt": SUBJECT,
        "name": "from-one-clip",
    }
    prompt, results = placed("Motion from one clip", given, definitions)
    prompts = [node["inputs"].get("sample_prompt") for node in prompt.values()]
    assert SUBJECT in prompts
    save = {"video": results["video"], "filename_prefix": "video/blueprint"}
    save |= {"format": "auto", "codec": "auto"}
    saving = {"200": {"class_type": "SaveVideo", "inputs": save}}
    finished = server.run({**sample_base(), **prompt, **saving}, timeout=400)
    assert finished.error is None, f"{finished.error}\n{server.tail}"
    assert list(server.output.rglob("blueprint*.mp4"))


def ksampler(model: list[Any], definitions: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Two steps of 16 frames, previewed."""
    text = {"clip": output(definitions, "CLIP"), "text": SUBJECT}
    size = {"width": 64, "height": 64, "batch_size": 16}
    sampler = {
        **{"model": model, "positive": ["201", 0], "negative": ["201", 0]},
        **{"latent_image": ["202", 0], "seed": 1, "steps": 2, "cfg": 1.0},
        **{"sampler_name": "euler", "scheduler": "simple", "denoise": 1.0},
    }
    decode = {"samples": ["203", 0], "vae": output(definitions, "VAE")}
    return {
        "201": {"class_type": "CLIPTextEncode", "inputs": text},
        "202": {"class_type": "EmptyLatentImage", "inputs": size},
        "203": {"class_type": "KSampler", "inputs": sampler},
        "204": {"class_type": "VAEDecode", "inputs": decode},
        "205": {"class_type": "PreviewImage", "inputs": {"images": ["204", 0]}},
    }
