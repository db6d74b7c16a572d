"""What stands on the nodes is what a training is asked for, given value by given value; and what
prompts of version 0.1.0 leave alone is what ran then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from motion_adapters.nodes.methods import MADE
from motion_adapters.nodes.runs.request import TrainingRequest
from motion_adapters.nodes.sockets import MotionBase
from motion_adapters.nodes.suited.connected import base_of
from motion_adapters.nodes.suited.prompt_graph import PromptGraph
from motion_adapters.nodes.train import TrainMotionAdapter, _request
from motion_adapters.nodes.version_0_1_0 import is_of_then

from motion_core.bases import BASES
from motion_core.methods import METHODS
from motion_core.shape_world.base import load_shape_world
from motion_core.types import Clip
from tests.comfyui.inside.called import called
from tests.comfyui.place import REPOSITORY

FIXTURES = REPOSITORY / "tests" / "fixtures" / "v0.1.0"
RAN: Mapping[str, Any] = json.loads((FIXTURES / "ran.json").read_text(encoding="utf-8"))
# On the node by another name or as a word, see below; or not of the training's settings.
APART = ("precision", "memory", "exactly", "resume", "name", "objective", "inversion_steps")
SETTINGS_NODES = {node.__name__: node for node in MADE}


@pytest.fixture(scope="module")
def backbone() -> Any:
    return load_shape_world("shape-world-animatediff")


def requested(base: str, backbone: Any, prompt: str = "a car turns left", **given: Any) -> Any:
    """A node's request; the base by its name, whose networks no setting asks."""
    frames = torch.zeros(16, 3, 64, 64)
    clip = Clip(frames=frames, fps=8.0, prompt=prompt, source="clip")
    on = MotionBase(name=base, backbone=backbone, defaults=BASES[base])
    return _request(base=on, clips=(clip,), resume_run="", **{"name": "given", **given})


def recorded(request: TrainingRequest) -> dict[str, Any]:
    document: dict[str, Any] = request.document()
    sample = {f"sample_{name}": v for name, v in document["sample"].items()}
    sample["sample_guidance"] = sample.pop("sample_guidance_scale")
    # Where a run is told of besides does not decide what it learns, and stands in no record.
    others = {"sample_prompt": document["sample_prompt"], "log_to": request.log_to}
    return {**document["objective"], **document["train"], **sample, **others}


def to_give(entry: Any) -> list[Any]:
    """The default that stands on a new node, and other values."""
    if isinstance(entry.default, bool):
        return [True, False]
    if getattr(entry, "options", None):
        return list(entry.options)
    if isinstance(entry.default, (int, float)):
        kind, low, high = type(entry.default), entry.min, entry.max
        return [entry.default, kind(low + (min(high, low + 4) - low) / 2) or kind(high)]
    return [entry.default]


def same(recorded: Any, given: Any) -> bool:
    """A list stands on a node as a text, and an empty text, a word or a lone 0 may be none."""
    if recorded == []:
        return given in ("", "widest")
    if isinstance(recorded, list):
        texts = [text.strip() for text in given.split(",")]
        return [str(item) for item in recorded] == [text for text in texts if text]
    return recorded == given or (recorded is None and given in ("", 0, 0.0, "the base's own"))


def menu() -> Iterator[Any]:
    entries = {entry.id: entry for entry in TrainMotionAdapter.GET_SCHEMA().inputs}
    for base in BASES:
        for option in entries["objective"].options:
            yield pytest.param(base, option.key, option.inputs, id=f"{base}-{option.key}")


@pytest.mark.parametrize(("base", "method", "inputs"), menu())
def test_a_value_on_the_training_node_runs(
    base: str, method: str, inputs: list[Any], backbone: Any
) -> None:
    """The method's own, then the training's, each at its default and at another value."""
    for entry in inputs:
        for value in to_give(entry):
            objective = {"objective": method, entry.id: value}
            found = recorded(requested(base, backbone, objective=objective))[entry.id]
            assert same(found, value), (entry.id, value, found)
    for entry in TrainMotionAdapter.GET_SCHEMA().inputs:
        if entry.id not in APART and hasattr(entry, "default"):
            for value in to_give(entry):
                given = {"objective": {"objective": method}, entry.id: value}
                found = recorded(requested(base, backbone, **given))[entry.id]
                assert same(found, value), (entry.id, value, found)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("method", METHODS)
def test_a_value_on_a_settings_node_runs(base: str, method: str, backbone: Any) -> None:
    node = SETTINGS_NODES[METHODS[method].Settings.__name__]
    objective = {"objective": method.replace("_", "-")}
    for entry in node.GET_SCHEMA().inputs:
        if entry.id != "exactly":
            for value in to_give(entry):
                (advanced,) = called(node, **{entry.id: value}).args
                request = requested(base, backbone, objective=objective, advanced=advanced)
                found = recorded(request)[entry.id]
                assert same(found, value), (entry.id, value, found)


@pytest.mark.parametrize("name", RAN)
def test_a_prompt_of_then_runs_what_ran_then(name: str, backbone: Any) -> None:
    """Recorded with the code of version 0.1.0."""
    file = FIXTURES / "workflows" / f"{name}.json"
    graph = PromptGraph(json.loads(file.read_text(encoding="utf-8")))
    node = next(n for n in graph.nodes if graph.kind(n) == "TrainMotionAdapter")
    clip = next(n for n in graph.nodes if graph.kind(n) == "MotionClip")
    base = base_of(graph, node)
    assert base is not None and base.name == RAN[name]["base"]
    widgets = graph.widgets(node)
    own = {n.removeprefix("objective."): widgets.pop(n) for n in list(widgets) if "objective." in n}
    given = {**widgets, "objective": {"objective": widgets["objective"], **own}}
    assert is_of_then(graph.inputs(node))
    prompt = graph.widget(clip, "prompt")
    document = requested(base.name, backbone, prompt, of_then=True, **given).document()
    for part in ("objective", "train"):
        ran = RAN[name][part]
        assert {key: document[part][key] for key in ran} == ran
    assert document["inversion_steps"] == RAN[name]["inversion_steps"]


def test_words_become_values(backbone: Any) -> None:
    """auto, and the presets of memory."""
    large, small = "animatediff", "shape-world-animatediff"
    for base, checkpointing in ((large, True), (small, False)):
        found = recorded(requested(base, backbone, objective={"objective": "motion-director"}))
        assert (found["precision"], found["checkpointing"]) == ("fp32", checkpointing)
    presets = {"fast": (False, True), "low": (True, False), "balanced": (True, True)}
    for memory, (checkpointing, keep_outputs) in presets.items():
        given = {"objective": {"objective": "vmc"}, "memory": memory}
        found = recorded(requested(large, backbone, **given))
        assert found["checkpointing"] is checkpointing
        assert found["keep_outputs"] is keep_outputs
