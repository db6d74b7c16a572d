"""What the training node's widgets ask of a training, and images as what it learns from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from motion_adapters.nodes.clips import CombineMotionClips, MotionClip
from motion_adapters.nodes.host.folders import register_folders
from motion_adapters.nodes.runs.request import TrainingRequest
from motion_adapters.nodes.sockets import MotionBase
from motion_adapters.nodes.train import TrainMotionAdapter, _request

from motion_core.adapter_files.own import load_adapter
from motion_core.bases import BASES
from motion_core.errors import ClipError
from motion_core.shape_world.base import load_shape_world
from motion_core.types import Clip
from tests.comfyui.inside.called import called
from tests.comfyui.inside.trainings import clip_inputs, train_inputs

NAME = "shape-world-animatediff"
OBJECTIVE = {"objective": "motion-director", "rank": 4, "beta": 1.0, "spatial_dropout_p": 0.2}


@pytest.fixture(scope="module", autouse=True)
def _folders() -> None:
    register_folders()


@pytest.fixture(scope="module")
def base() -> MotionBase:
    defaults = dataclasses.replace(BASES[NAME], sample_steps=1, frames=4)
    return MotionBase(name=NAME, backbone=load_shape_world(NAME), defaults=defaults)


def clips(frames: int) -> tuple[Clip, ...]:
    """Of random pixels; 1 is an image."""
    video = torch.rand(frames, 64, 64, 3, generator=torch.Generator().manual_seed(frames))
    return called(MotionClip, **clip_inputs(video=video, frames=4)).args[0]


def inputs_of(base: MotionBase, learned: tuple[Clip, ...], **changed: Any) -> dict[str, Any]:
    own = {
        "objective": OBJECTIVE,
        "steps": 2,
        "inversion_steps": 0,
        "name": "chosen",
        "resume": "new",
    }
    return train_inputs(base, learned, **{**own, **changed})


def requested(base: MotionBase, **changed: Any) -> TrainingRequest:
    return _request(resume_run="", **inputs_of(base, clips(4), **changed))


@pytest.mark.parametrize(
    ("widget", "value", "setting", "expected"),
    [
        ("learning_rate", 0.00125, "learning_rate", 0.00125),
        ("learning_rate", 0.0, "learning_rate", BASES[NAME].train.get("learning_rate")),
        ("precision", "bf16", "precision", "bf16"),
        ("precision", "auto", "precision", "fp32"),  # on the CPU
        ("memory", "fast", "keeps", "all"),
        ("memory", "balanced", "keeps", "outputs"),
        ("memory", "low", "keeps", "inputs"),
        ("memory", "auto", "checkpointing", BASES[NAME].train.get("checkpointing", True)),
        ("steps", 7, "steps", 7),
        ("steps", 0, "steps", BASES[NAME].train["steps"]),
        ("sample_every", 3, "sample_every", 3),
        ("save_every", 9, "save_every", 9),
        ("seed", 11, "seed", 11),
    ],
)
def test_a_widget_is_what_the_training_is_asked_for(
    base: MotionBase, widget: str, value: object, setting: str, expected: object
) -> None:
    settings = requested(base, **{widget: value}).settings
    assert getattr(settings, setting) == expected


def test_the_samples_prompt(base: MotionBase) -> None:
    assert requested(base, sample_prompt=" a blue square \n").sample_prompts == ["a blue square"]
    assert requested(base, sample_prompt="  ").sample_prompts == []
    lines = "a blue square\n\n a red star"
    assert requested(base, sample_prompt=lines).sample_prompts == ["a blue square", "a red star"]
    # In version 0.1.0 all lines were one prompt.
    assert requested(base, sample_prompt=lines, of_then=True).sample_prompts == [lines]


def test_fast_and_bf16_train(base: MotionBase, comfy_base: Path) -> None:
    """In half precision the frozen weights differ, and with them what is learned."""
    learned = {}
    for precision in ("bf16", "fp32"):
        more = {"precision": precision, "memory": "fast", "name": precision, "learning_rate": 0.01}
        (motion,), *_ = called(TrainMotionAdapter, **inputs_of(base, clips(4), **more)).args
        assert motion.info.settings["training"]["precision"] == precision
        assert motion.info.settings["training"]["checkpointing"] is False
        learned[precision] = motion.adapters["temporal"].state_dict()
    for name, tensor in learned["fp32"].items():
        assert not torch.equal(tensor, learned["bf16"][name])
        assert tensor.dtype == torch.float32 == learned["bf16"][name].dtype


def test_an_image_alone_is_learned_for_its_looks(base: MotionBase, comfy_base: Path) -> None:
    """There is no motion in it: the file has its looks, and plays them in a video."""
    (motion,), file, samples, losses = called(
        TrainMotionAdapter, **inputs_of(base, clips(1), name="image")
    ).args
    assert set(motion.adapters) == {"spatial.0"} and motion.info.frames == 1
    assert samples.shape == (4, 64, 64, 3) and len(losses["loss"]) == 2
    _, adapters = load_adapter(comfy_base / "models" / "motion_adapters" / file)
    ups = [tensor for name, tensor in adapters["spatial.0"].state_dict().items() if "up" in name]
    assert ups and all(tensor.abs().max() > 0 for tensor in ups)


def test_an_image_beside_a_video(base: MotionBase) -> None:
    """Each has a LoRA for its looks, the video moves. MotionCrafter learns an image only on its
    spatial path.
    """
    (both,) = called(CombineMotionClips, clips_1=clips(1), clips_2=clips(4)).args
    (motion,), *_ = called(TrainMotionAdapter, **inputs_of(base, both, name="both", steps=4)).args
    assert "temporal" in motion.adapters and motion.info.frames == 4
    crafter = {"objective": "motion-crafter", "blocks": "deep"}
    with pytest.raises(ClipError, match="spatial"):
        called(TrainMotionAdapter, **inputs_of(base, both, name="crafter", objective=crafter))
