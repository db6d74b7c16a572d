"""Train Motion Adapter as ComfyUI calls it, in inference mode: what it learns, reuses, refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import folder_paths
import pytest
import torch
from motion_adapters.nodes.clips import MotionClip
from motion_adapters.nodes.methods import MADE, method_input
from motion_adapters.nodes.runs import training
from motion_adapters.nodes.runs.watch import run_registry
from motion_adapters.nodes.sockets import MotionBase

from motion_core.adapter_files.own import load_adapter
from motion_core.errors import MotionError, SettingsError
from motion_core.methods import METHODS
from motion_core.settings import BASES_OWN
from motion_core.types import Clip
from tests.comfyui.inside import trainings
from tests.comfyui.inside.called import called
from tests.comfyui.inside.trainings import (
    FRAMES,
    PROMPT,
    adapter_path,
    assert_equal_motions,
    clip_inputs,
    runs_of,
    tensors_of,
    trained,
)

MotionDirectorSettings, _, _, MoTransSettings, *_ = MADE
# Fixtures.
_folders = trainings._folders
base = trainings.base
clips = trainings.clips
hook = trainings.hook
samplings = trainings.samplings


def test_trains_on_inference_tensors_and_leaves_the_base_as_it_was(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path
) -> None:
    before = {name: t.clone() for name, t in base.backbone.network.state_dict().items()}
    (motion,), name, samples, losses = trained(base, clips, sample_every=2).args
    assert name == "zigzag.safetensors"
    file = comfy_base / "models" / "motion_adapters" / name
    assert name in folder_paths.get_filename_list("motion_adapters")
    assert {path.suffix for path in file.parent.glob("zigzag.*")} == {
        ".safetensors",
        ".json",
        ".png",
    }
    info, adapters = load_adapter(file)
    assert info.steps == 4 and info.rank == 4 and set(adapters) == {"temporal", "spatial.0"}
    assert_equal_motions(motion, dataclasses.replace(motion, adapters=adapters))
    assert any(tensor.abs().sum() > 0 for tensor in tensors_of(motion).values())
    assert motion.inverted is not None and motion.inverted.shape == (1, 4, FRAMES, 8, 8)
    assert samples.shape == (FRAMES, 64, 64, 3) and 0 <= samples.min() <= samples.max() <= 1
    assert len(losses["loss"]) == 4 and not samples.is_inference()
    (run,) = runs_of(comfy_base, "zigzag")
    made = {path.name for path in (run / "samples").iterdir()}
    assert made == {"reference.mp4", "step-2.mp4", "step-4.mp4"}
    after = base.backbone.network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_the_same_settings_twice_reuse_the_file(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path
) -> None:
    first = trained(base, clips, name="reused")
    file = comfy_base / "models" / "motion_adapters" / "reused.safetensors"
    written = file.stat().st_mtime_ns
    again = trained(base, clips, name="reused")
    assert file.stat().st_mtime_ns == written and len(runs_of(comfy_base, "reused")) == 1
    shown = run_registry().run(runs_of(comfy_base, "reused")[0].name)
    assert (shown["state"], shown["step"], shown["saved_as"]) == ("finished", 4, [file.name])
    assert_equal_motions(first.args[0][0], again.args[0][0])
    assert torch.allclose(first.args[2], again.args[2], atol=0.5 / 255 + 1e-6)
    assert first.args[3] == again.args[3]
    new = trained(base, clips, name="reused", resume="new")
    assert new.args[1] == "reused-2.safetensors" and len(runs_of(comfy_base, "reused")) == 2
    assert_equal_motions(first.args[0][0], new.args[0][0])


def test_one_sample_is_made_at_the_end_and_the_pages_see_it(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path, samplings: list[str]
) -> None:
    """With sample_every at its 0. Its pictures are in the file too."""
    output = trained(base, clips, name="at the end", sample_prompt="a blue square")
    assert samplings == ["a blue square"]
    (run,) = runs_of(comfy_base, "at-the-end")
    (made,) = run_registry().run(run.name)["samples"]
    assert made == {"step": 4, "prompt": 1, "file": "step-4.mp4"}
    assert len(output.args[0][0].previews) == 4

    video = run / "samples" / "step-4.mp4"
    video.unlink()  # as versions before left a run
    trained(base, clips, name="at the end", sample_prompt="a blue square")
    assert video.is_file() and samplings == ["a blue square"]
    assert run_registry().run(run.name)["samples"] == [made]
    before = video.stat().st_mtime_ns
    trained(base, clips, name="at the end")
    assert samplings == ["a blue square", PROMPT] and video.stat().st_mtime_ns > before


def test_the_last_of_the_samples_while_training_is_the_one_at_the_end(
    base: MotionBase, clips: tuple[Clip, ...], samplings: list[str]
) -> None:
    trained(base, clips, name="sampled twice", sample_every=2)
    assert samplings == [PROMPT, PROMPT]


def test_noise_that_is_asked_for_later_is_made_for_the_finished_adapter(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path
) -> None:
    first = trained(base, clips, name="silent", inversion_steps=0)
    assert first.args[0][0].inverted is None
    written = adapter_path(comfy_base, "silent").stat().st_mtime_ns
    noisy = trained(base, clips, name="silent", inversion_steps=3).args[0][0]
    assert noisy.inverted is not None and noisy.noise.steps == 3
    again = trained(base, clips, name="silent", inversion_steps=0).args[0][0]
    assert again.noise == noisy.noise
    assert adapter_path(comfy_base, "silent").stat().st_mtime_ns == written


def test_nothing_is_moved_to_the_device_for_what_is_only_reused(
    base: MotionBase, clips: tuple[Clip, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(base, clips, name="moved")

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the base was moved")

    monkeypatch.setattr(training, "on_accelerator", refuse)
    assert trained(base, clips, name="moved").args[1] == "moved.safetensors"


def test_names_are_told_apart_across_both_folders(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path
) -> None:
    """As a motion of an AnimateDiff lies in the one and a ZeroScope's in the other."""
    other = comfy_base / "models" / "animatediff_motion_lora" / "taken.safetensors"
    other.touch()
    assert trained(base, clips, name="taken").args[1] == "taken-2.safetensors"
    other.unlink()


def test_a_changed_setting_is_another_run(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path
) -> None:
    first = trained(base, clips, name="changed")
    other = trained(base, clips, name="changed", seed=1)
    assert other.args[1] == "changed-2.safetensors" and len(runs_of(comfy_base, "changed")) == 2
    assert not torch.equal(*(next(iter(tensors_of(o.args[0][0]).values())) for o in (first, other)))


# Fewer layers, or fewer steps of a first stage, than by default.
SMALLER: Mapping[str, Mapping[str, Any]] = {
    "motion_crafter": {"blocks": "deep", "parametrisation": "lora"},
    "motrans": {"appearance_steps": 2, "verb": "zigzagging"},
    "vmc": {"parametrisation": "lora"},
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains(base: MotionBase, clips: tuple[Clip, ...], name: str) -> None:
    """As the graph sends it: the menu's choice with all of its widgets."""
    key = name.replace("_", "-")
    menu = {option.key: option.inputs for option in method_input().options}
    widgets = {entry.id: entry.default for entry in menu[key]}
    small = {"rank": 4} if "rank" in widgets else {}
    chosen = {"objective": key, **widgets, **small, **SMALLER.get(name, {})}
    (motion,), _, _, losses = trained(base, clips, name=key, objective=chosen, memory="low").args
    assert motion.info.method == name and len(losses["loss"]) == 4


def test_advanced_settings(base: MotionBase, clips: tuple[Clip, ...]) -> None:
    schema = MotionDirectorSettings.GET_SCHEMA()
    widgets = {entry.id: entry.default for entry in schema.inputs}
    same = {"rank": 4, "beta": 1.0, "spatial_dropout_p": 0.2}  # as the training node has them
    (settings,) = called(MotionDirectorSettings, **{**widgets, **same, "loss": "plain"}).args
    (motion,), *_ = trained(base, clips, name="plain", advanced=settings).args
    objective = motion.info.settings["objective"]
    assert (objective["loss"], objective["rank"], objective["dropout"]) == ("plain", 4, 0.1)


def test_an_encoder_in_the_clip_vision_folder_is_found(comfy_base: Path) -> None:
    file = comfy_base / "models" / "clip_vision" / "vit_h.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    widgets = {entry.id: entry.default for entry in MoTransSettings.GET_SCHEMA().inputs}
    (settings,) = called(MoTransSettings, **{**widgets, "image_encoder": file.name}).args
    assert settings.values["image_encoder"] == str(file)
    assert called(MoTransSettings, **widgets).args[0].values["image_encoder"] is None
    with pytest.raises(MotionError, match=r"file gone\.pt no longer exists in models/clip_vision"):
        called(MoTransSettings, **{**widgets, "image_encoder": "gone.pt"})
    menus = {option.key: option.inputs for option in method_input().options}
    (encoders,) = [entry for entry in menus["motrans"] if entry.id == "image_encoder"]
    assert encoders.options == [BASES_OWN, file.name]


def test_what_does_not_fit_is_refused_before_the_first_step(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path
) -> None:
    image = torch.rand(40, 64, 64, 3)
    long = called(MotionClip, **clip_inputs(video=image, frames=40)).args[0]
    with pytest.raises(MotionError, match="40"):
        trained(base, long, name="refused")
    with pytest.raises(SettingsError, match="inversion_steps is 1"):
        trained(base, clips, name="refused", inversion_steps=1)
    with pytest.raises(SettingsError, match="precision is 'fp16' on cpu"):
        trained(base, clips, name="refused", precision="fp16")
    with pytest.raises(SettingsError, match="is used as a file name"):
        trained(base, clips, name="../refused")
    assert not runs_of(comfy_base, "refused")


def test_the_cores_loss_graph_takes_the_losses(base: MotionBase, clips: tuple[Clip, ...]) -> None:
    from comfy_extras.nodes_train import LossGraphNode

    losses = trained(base, clips, name="zigzag", sample_every=2).args[3]
    (graph,) = called(LossGraphNode, loss=losses, filename_prefix="loss").ui.as_dict()["images"]
    assert graph["filename"].endswith(".png")
