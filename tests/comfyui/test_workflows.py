"""The workflows that ship: they fit the nodes as they are now, and the sample base's run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from motion_core.adapter_files.own import load_adapter
from motion_core.video.clips import load_clips
from motion_core.video.settings import ClipSettings
from tests.comfyui.place import REPOSITORY, ComfyPlace
from tests.comfyui.placeholders import add_placeholders
from tests.comfyui.server import Finished, PromptRefusedError, Server, serve
from tests.comfyui.ui_prompts import WorkflowFault, api_prompt

FILES = {file.stem: file for file in sorted((REPOSITORY / "workflows").glob("*.json"))}
# Workflows that need another pack, and the variable that says where it is.
VARIANTS = {
    "apply-with-animatediff-evolved": "COMFYUI_EVOLVED_PATH",
    "train-with-videohelpersuite": "COMFYUI_VIDEOHELPER_PATH",
}
BASIC = [name for name in FILES if name not in VARIANTS]
SAMPLE_BASE = [name for name in FILES if name.startswith("sample-base")]
# Where those end whose files are stand-ins: at the first of them that is opened.
_NO_CHECKPOINT = r"CheckpointLoaderSimple: .*header too small"
ENDS = {
    "apply-in-a-community-checkpoint": _NO_CHECKPOINT,
    "apply-in-six-steps": _NO_CHECKPOINT,
    "apply-with-animatediff-evolved": _NO_CHECKPOINT,
    "train-on-your-checkpoint": _NO_CHECKPOINT,
    "train-with-videohelpersuite": _NO_CHECKPOINT,
    "zeroscope-train-and-sample": r"LoadZeroScope: text2video_pytorch_model\.pth is damaged",
}
SECONDS = 180.0
FRAMES = 16


def workflow(name: str) -> dict[str, Any]:
    return json.loads(FILES[name].read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def definitions(server: Server) -> Mapping[str, Any]:
    """With the files that the workflows name in place."""
    add_placeholders(server.base, list(FILES.values()))
    return server.get("/object_info")


@pytest.mark.parametrize("name", BASIC)
def test_basic_workflows_fit_the_nodes(name: str, definitions: Mapping[str, Any]) -> None:
    assert api_prompt(workflow(name), definitions)


@pytest.mark.parametrize("name", [name for name in BASIC if name not in SAMPLE_BASE])
def test_comfyui_takes_them(name: str, server: Server, definitions: Mapping[str, Any]) -> None:
    """Queued, they pass ComfyUI's own checks, and run until a stand-in is opened."""
    prompt = api_prompt(workflow(name), definitions)
    try:
        finished = server.run(prompt)
    except PromptRefusedError as refused:
        pytest.fail(str(refused))
    assert_ends_at_its_stand_in(name, finished)


def assert_ends_at_its_stand_in(name: str, finished: Finished) -> None:
    assert finished.error and re.match(ENDS[name], finished.error), finished.error


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_fit_with_the_other_pack(name: str, comfyui: ComfyPlace, tmp_path: Path) -> None:
    other = os.environ.get(VARIANTS[name])
    if not other:
        pytest.skip(f"{VARIANTS[name]} is not set: no folder of that pack to try {name} with")
    add_placeholders(tmp_path, [FILES[name]])
    with serve(comfyui, tmp_path, more_packs=[Path(other)]) as server:
        definitions = server.get("/object_info")
        prompt = api_prompt(workflow(name), definitions)
        assert_ends_at_its_stand_in(name, server.run(prompt))


@pytest.mark.parametrize("name", SAMPLE_BASE)
@pytest.mark.timeout(600)
def test_sample_base_workflows_learn_and_play(
    name: str, server: Server, definitions: Mapping[str, Any]
) -> None:
    """Each training in under three minutes on a CPU, with what comes after it; they leave a video
    and adapter files.
    """
    before = files_in(server)
    trainings = trainings_of(workflow(name), definitions)
    limit = SECONDS * len(trainings)
    finished = server.run(api_prompt(workflow(name), definitions), timeout=limit)
    assert finished.error is None, f"{finished.error}\n{server.tail}"
    new = files_in(server) - before
    (video,) = (file for file in new if file.suffix == ".mp4" and file.parent.name == "video")
    frames = decoded(video)
    assert frames.shape == (FRAMES, 3, 64, 64)
    assert (frames[1:] - frames[:-1]).abs().mean() > 0.005  # it moves
    files = {
        file.stem: file
        for file in new
        if file.suffix == ".safetensors"
        and "models" in file.parts
        and not file.name.endswith(".noise.safetensors")
    }
    assert files.keys() == {training["name"] for training in trainings}
    for training in trainings:
        file = files[training["name"]]
        info, adapters = load_adapter(file)
        assert adapters and info.steps > 0
        assert differing(training, file.with_suffix(".json")) == {}
    assert progressed(finished) > 10


def trainings_of(graph: dict[str, Any], definitions: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What stands on its training nodes."""
    nodes = api_prompt(graph, definitions).values()
    return [node["inputs"] for node in nodes if node["class_type"] == "TrainMotionAdapter"]


def differing(node: dict[str, Any], record: Path) -> dict[str, tuple[Any, Any]]:
    """What stands on a training node's widgets and is not what the run recorded, by input."""
    document = json.loads(record.read_text(encoding="utf-8"))
    ran = {f"objective.{name}": value for name, value in document["objective"].items()}
    ran |= {**document["train"], "sample_prompt": document["sample_prompt"]}
    ran |= {"inversion_steps": document["inversion_steps"]}
    ran |= {f"sample_{name}": value for name, value in document["sample"].items()}
    ran["sample_guidance"] = ran.pop("sample_guidance_scale")
    empty = ("", 0, "the base's own")
    stand = {name: value for name, value in node.items() if name in ran and value != "auto"}
    unlike = {n: v for n, v in stand.items() if v != ran[n] and (ran[n] or v not in empty)}
    return {name: (value, ran[name]) for name, value in unlike.items()}


@pytest.mark.timeout(400)
def test_the_same_workflow_twice_trains_once(
    server: Server, definitions: Mapping[str, Any]
) -> None:
    """Another prompt for the sample only: the adapter that the run before left is reused."""
    prompt = api_prompt(workflow("sample-base-motion-director"), definitions)
    server.run(prompt, timeout=SECONDS)
    before = files_in(server)
    sample = next(n for n in prompt.values() if n["class_type"] == "SampleMotionVideo")
    sample["inputs"]["prompt"] = "a green triangle zigzagging on a black background"
    finished = server.run(prompt, timeout=SECONDS)
    assert finished.error is None, finished.error
    new = files_in(server) - before
    assert [file.suffix for file in new if file.parent.name == "video"] == [".mp4"]
    assert not [file for file in new if file.suffix == ".safetensors"]


def test_faults_of_a_workflow_are_found(definitions: Mapping[str, Any]) -> None:
    """What the page would not notice until someone presses Run."""
    broken = workflow("sample-base-motion-director")
    clip = next(node for node in broken["nodes"] if node["type"] == "MotionClip")
    clip["widgets_values"][1] = 0  # frames
    with pytest.raises(WorkflowFault, match=r"frames is 0, not in 1 to"):
        api_prompt(broken, definitions)
    broken = workflow("sample-base-motion-director")
    train = next(node for node in broken["nodes"] if node["type"] == "TrainMotionAdapter")
    train["inputs"].reverse()  # clips where the base belongs
    with pytest.raises(WorkflowFault, match="leads to another input"):
        api_prompt(broken, definitions)


def files_in(server: Server) -> set[Path]:
    folders = (server.base / "output", server.base / "models")
    return {file for folder in folders for file in folder.rglob("*") if file.is_file()}


def decoded(video: Path) -> torch.Tensor:
    """(F, 3, H, W) in [-1, 1]."""
    (clip,) = load_clips(video, ClipSettings(frames=FRAMES), "a video")
    return clip.frames


def progressed(finished: Finished) -> int:
    """The most steps that a node has shown."""
    shown = finished.of_type("progress")
    return max((message["value"] for message in shown), default=0)
