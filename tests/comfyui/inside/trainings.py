"""Small trainings by the node, as ComfyUI calls it: what goes in, and what is left of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import comfy.model_management as management
import comfy.utils
import pytest
import torch
from comfy_api.latest import io
from motion_adapters.nodes.clips import MotionClip
from motion_adapters.nodes.host.folders import register_folders
from motion_adapters.nodes.runs import results as training_results
from motion_adapters.nodes.runs.watch import run_registry
from motion_adapters.nodes.sockets import MotionBase
from motion_adapters.nodes.train import TrainMotionAdapter

from motion_core.adapter_files.loaded import LoadedAdapter
from motion_core.bases import BASES
from motion_core.shape_world.base import load_shape_world
from motion_core.types import Clip
from tests.comfyui.inside.called import called

PROMPT = "a red circle zigzagging on a checkered background"
FRAMES = 8


@pytest.fixture(scope="module", autouse=True)
def _folders() -> None:
    register_folders()


@pytest.fixture(scope="module")
def base() -> MotionBase:
    """Loaded as a careless node would: every tensor is an inference tensor."""
    name = "shape-world-animatediff"
    with torch.inference_mode():
        backbone = load_shape_world(name)
        for part in (backbone.network, backbone.vae, backbone.text.model):
            for module in part.modules():
                for key, value in module._parameters.items():
                    if value is not None:
                        copied = torch.nn.Parameter(value.clone(), requires_grad=False)
                        module._parameters[key] = copied
    assert all(parameter.is_inference() for parameter in backbone.network.parameters())
    defaults = dataclasses.replace(BASES[name], sample_steps=2)
    return MotionBase(name=name, backbone=backbone, defaults=defaults)


@pytest.fixture(scope="module")
def clips() -> tuple[Clip, ...]:
    with torch.inference_mode():
        image = torch.rand(FRAMES, 64, 64, 3)
    return called(MotionClip, **clip_inputs(video=image)).args[0]


@pytest.fixture
def hook() -> Iterator[Callable[[Callable[[int, int], None]], None]]:
    """Lets a test act at a step of the progress bar, where ComfyUI looks for Cancel."""

    def install(act: Callable[[int, int], None]) -> None:
        def seen(value: int, total: int, *_: Any, **__: Any) -> None:
            act(value, total)
            management.throw_exception_if_processing_interrupted()

        comfy.utils.set_progress_bar_global_hook(seen)

    yield install
    comfy.utils.set_progress_bar_global_hook(None)
    management.interrupt_current_processing(False)


def clip_inputs(**changed: Any) -> dict[str, Any]:
    return {
        "prompt": PROMPT,
        "frames": FRAMES,
        "start_seconds": 0.0,
        "stride": 1,
        "fps": 0.0,
        "width": 64,
        "height": 64,
        "fit": "crop",
        "windows": 1,
        **changed,
    }


def train_inputs(base: MotionBase, clips: tuple[Clip, ...], **changed: Any) -> dict[str, Any]:
    return {
        "base": base,
        "clips": clips,
        "objective": {"objective": "motion-director", "rank": 4, "beta": 1.0},
        "steps": 4,
        "learning_rate": 0.0,
        "seed": 0,
        "precision": "auto",
        "memory": "auto",
        "sample_prompt": "",
        "sample_every": 0,
        "save_every": 0,
        "inversion_steps": 2,
        "name": "zigzag",
        "resume": "continue",
        **changed,
    }


def trained(base: MotionBase, clips: tuple[Clip, ...], **changed: Any) -> io.NodeOutput:
    resume_run = changed.pop("resume_run", "")
    return called(TrainMotionAdapter, resume_run, **train_inputs(base, clips, **changed))


@pytest.fixture
def samplings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prompts that were sampled, each time."""
    prompts: list[str] = []
    generate = training_results.generate

    def counting(backbone: Any, prompt: str, *args: Any, **kwargs: Any) -> torch.Tensor:
        prompts.append(prompt)
        return generate(backbone, prompt, *args, **kwargs)

    monkeypatch.setattr(training_results, "generate", counting)
    return prompts


def adapter_path(comfy_base: Path, name: str) -> Path:
    return comfy_base / "models" / "motion_adapters" / f"{name}.safetensors"


def shown(comfy_base: Path, name: str) -> dict[str, Any]:
    """What the pages see of the only run of a name."""
    (run,) = runs_of(comfy_base, name)
    return run_registry().run(run.name)


def going_on() -> dict[str, Any]:
    """What the pages see of the run that is at work, without its history."""
    active = ("preparing", "running", "saving")
    return next(run for run in run_registry().runs() if run["state"] in active)


def in_step(step: int) -> bool:
    """Whether just so many steps are done, and the next is on its way."""
    return (going_on()["step"], going_on()["doing"]) == (step, "")


def tensors_of(motion: LoadedAdapter) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": tensor
        for name, adapter in motion.adapters.items()
        for key, tensor in adapter.state_dict().items()
    }


def assert_equal_motions(one: LoadedAdapter, other: LoadedAdapter) -> None:
    ours, theirs = tensors_of(one), tensors_of(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items())


def runs_of(comfy_base: Path, name: str) -> list[Path]:
    return sorted((comfy_base / "output" / "motion_training").glob(f"{name}-*"))
