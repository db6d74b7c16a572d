"""What a node shows while it works, and how soon it hears Cancel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.model_management as management
import comfy.utils
import pytest
import torch
from comfy.cli_args import LatentPreviewMethod, args
from motion_adapters.nodes.sample import SampleMotionVideo
from motion_adapters.nodes.sockets import MotionBase
from PIL import Image

from motion_core.types import Clip
from tests.comfyui.inside import trainings
from tests.comfyui.inside.called import called
from tests.comfyui.inside.trainings import (
    FRAMES,
    PROMPT,
    assert_equal_motions,
    going_on,
    runs_of,
    shown,
    trained,
)

# Fixtures.
_folders = trainings._folders
base = trainings.base
clips = trainings.clips
hook = trainings.hook

Seen = list[tuple[int, int, Any]]


@pytest.fixture
def seen() -> Iterator[Seen]:
    """What the progress bar was told: value, total, picture."""
    told: Seen = []
    comfy.utils.set_progress_bar_global_hook(
        lambda value, total, picture=None, **_: told.append((value, total, picture))
    )
    yield told
    comfy.utils.set_progress_bar_global_hook(None)


@pytest.fixture
def previews(request: pytest.FixtureRequest) -> Iterator[None]:
    """The user's preview method."""
    before, args.preview_method = args.preview_method, request.param
    yield
    args.preview_method = before


def sampled(base: MotionBase) -> None:
    size = {"frames": FRAMES, "width": 64, "height": 64}
    called(SampleMotionVideo, base=base, prompt=PROMPT, steps=3, seed=0, **size)


def test_the_bar_counts_one_scale(base: MotionBase, clips: tuple[Clip, ...], seen: Seen) -> None:
    """Preparing, steps, a sample between them, the inversion and the last sample."""
    trained(base, clips, name="bar", sample_every=3, inversion_steps=3)
    values, totals, _ = zip(*seen, strict=True)
    assert list(values) == sorted(values) and len(set(totals)) == 1
    assert 0 < values[0] < 0.2 * totals[0] and values[-1] == totals[-1]
    assert len(set(values)) >= 4

    seen.clear()
    sampled(base)
    assert [(value, total) for value, total, _ in seen][-1] == (3, 3)


@pytest.mark.parametrize("previews", [LatentPreviewMethod.Auto], indirect=True)
@pytest.mark.usefixtures("previews")
def test_samples_are_seen_while_they_are_made(
    base: MotionBase, clips: tuple[Clip, ...], seen: Seen
) -> None:
    """Four of the frames, two by two, as ComfyUI's samplers hand a picture on."""
    trained(base, clips, name="pictures", sample_every=2)
    in_training = [picture for *_, picture in seen if picture is not None]
    seen.clear()
    sampled(base)
    pictures = [picture for *_, picture in seen if picture is not None]
    assert len(in_training) >= 2 and pictures
    for kind, picture, longest in (*in_training, *pictures):
        assert kind == "JPEG" and isinstance(picture, Image.Image) and longest >= 128
        assert picture.size == (128, 128)
        assert len(set(picture.getdata())) > 50


@pytest.mark.parametrize("previews", [LatentPreviewMethod.NoPreviews], indirect=True)
@pytest.mark.usefixtures("previews")
def test_nothing_is_shown_to_whom_does_not_want_it(base: MotionBase, seen: Seen) -> None:
    sampled(base)
    assert seen and all(picture is None for *_, picture in seen)


def test_each_line_is_a_sample_prompt(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path
) -> None:
    """In the order of the lines: videos, frames, what /history has, and what is reused."""
    choices = {
        "name": "prompts",
        "exactly": True,
        "sample_prompt": "a blue square\n\n a green star \n",
        "sample_every": 2,
    }
    output = trained(base, clips, **choices)
    (run,) = runs_of(comfy_base, "prompts")
    names = [f"step-{step}{end}.mp4" for step in (2, 4) for end in ("", "-2")]
    assert [sample["file"] for sample in shown(comfy_base, "prompts")["samples"]] == names
    samples = output.args[2]
    assert samples.shape == (2 * FRAMES, 64, 64, 3)
    assert not torch.allclose(samples[:FRAMES], samples[FRAMES:], atol=0.05)

    folder = f"motion_training/{run.name}/samples"
    assert output.ui is not None
    assert output.ui["samples"] == [
        {"filename": name, "subfolder": folder, "type": "output"} for name in names[2:]
    ]
    (adapter,) = output.ui["adapters"]
    assert adapter == {
        "name": "prompts.safetensors",
        "path": str(comfy_base / "models" / "motion_adapters" / "prompts.safetensors"),
        "steps": 4,
        "run": run.name,
    }
    again = trained(base, clips, **choices)
    assert again.ui == output.ui
    assert torch.allclose(again.args[2], samples, atol=0.5 / 255 + 1e-6)


def test_cancel_is_heard_in_the_middle_of_a_step(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path
) -> None:
    """In the forward and in the backward pass of the third step: neither is done, the base is as
    before, and the run goes on to the same end.
    """
    whole = trained(base, clips, name="in one go")
    network = base.backbone.network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    layer = network.get_submodule("conv_out")

    def cancel(*_: Any) -> None:
        if going_on()["step"] == 2:
            management.interrupt_current_processing(True)

    def cancel_in_backward(layer: Any, inputs: Any, output: torch.Tensor) -> None:
        if output.requires_grad:
            output.register_hook(cancel)

    for name, act in (("forward", cancel), ("backward", cancel_in_backward)):
        handle = layer.register_forward_hook(act)
        with pytest.raises(management.InterruptProcessingException):
            trained(base, clips, name=name)
        handle.remove()
        assert not management.processing_interrupted()
        (run,) = runs_of(comfy_base, name)
        state = json.loads((run / "state.json").read_text())
        assert state == {"state": "cancelled", "step": 2, "total": 4}
        after = network.state_dict()
        assert all(torch.equal(tensor, after[key]) for key, tensor in before.items())
        assert not any(part._forward_hooks for part in network.modules())
        rest = trained(base, clips, name=name)
        assert_equal_motions(whole.args[0][0], rest.args[0][0])
        assert whole.args[3] == rest.args[3]
