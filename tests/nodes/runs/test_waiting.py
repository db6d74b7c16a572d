"""What waits in the queue to train something, from the queue's items as ComfyUI has them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from motion_adapters.nodes.runs import waiting
from motion_adapters.nodes.runs.waiting import libraries_loaded, waiting_prompts


def prompt(**of_training: Any) -> dict[str, Any]:
    """A base, a training on it, a saved adapter, and a picture that has nothing to do with it."""
    return {
        "1": {"class_type": "SampleMotionBase", "inputs": {}},
        "12:5": {"class_type": "TrainMotionAdapter", "inputs": {"base": ["1", 0], **of_training}},
        "6": {"class_type": "SaveMotionAdapter", "inputs": {"adapter": ["12:5", 0]}},
        "7": {"class_type": "PreviewImage", "inputs": {"images": ["1", 1]}},
    }


def item(number: float, name: str, outputs: list[str], workflow: Any = None, **of_training: Any):
    extra = {"client_id": "page"} | ({"extra_pnginfo": {"workflow": workflow}} if workflow else {})
    return (number, name, prompt(**of_training), extra, outputs, {"secret": 1})


def test_running_first_then_by_number() -> None:
    pending = [item(9, "last", ["6"]), item(-2, "front", ["6"])]
    told = waiting_prompts([item(5, "now", ["6"], {"id": "w", "nodes": []})], pending)
    assert [(entry["prompt_id"], entry["is_running"]) for entry in told] == [
        ("now", True),
        ("front", False),
        ("last", False),
    ]
    assert [entry["workflow_id"] for entry in told] == ["w", "", ""]
    assert told[0] == {
        "prompt_id": "now",
        "client_id": "page",
        "workflow_id": "w",
        "is_running": True,
        "nodes": ["12:5"],
        "runs": [],
    }


def test_a_prompt_that_does_not_reach_its_training_does_not_wait_for_it() -> None:
    assert waiting_prompts([], [item(1, "picture", ["7"])]) == []
    assert waiting_prompts([], [item(1, "none", ["99"])]) == []


def test_the_run_that_is_to_go_on_is_told() -> None:
    (entry,) = waiting_prompts([], [item(1, "again", ["6"], resume_run="zigzag-1")])
    assert entry["runs"] == ["zigzag-1"]


def test_libraries_are_loaded_once_what_imports_them_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While a module imports, it is listed without its functions."""
    name = waiting.__package__.removesuffix("nodes.runs") + "motion_core.backbones.files.components"
    monkeypatch.delitem(sys.modules, name, raising=False)
    assert not libraries_loaded()
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    assert not libraries_loaded()
    module.load_vae = len  # type: ignore[attr-defined]
    assert libraries_loaded()


def test_the_function_that_tells_is_there() -> None:
    from motion_adapters.motion_core.backbones.files import components

    assert hasattr(components, waiting._FUNCTION)
