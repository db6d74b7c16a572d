"""Train Motion Adapter and what comes before it, as ComfyUI calls them: under inference_mode."""

from __future__ import annotations

import dataclasses
import gc
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import comfy.model_management as management
import comfy.utils
import folder_paths
import psutil
import pytest
import torch
from comfy_api.latest import InputImpl, Types, io
from motion_adapters.nodes import training, training_results
from motion_adapters.nodes.clips import CombineMotionClips, MotionClip, MotionClipsFromFolder
from motion_adapters.nodes.folders import register_folders
from motion_adapters.nodes.method_fields import OWN_ENCODER
from motion_adapters.nodes.methods import (
    MotionDirectorSettings,
    MoTransSettings,
    objective_input,
)
from motion_adapters.nodes.motion_files import load_motion
from motion_adapters.nodes.runs import run_registry
from motion_adapters.nodes.sockets import Motion, MotionBase
from motion_adapters.nodes.train import TrainMotionAdapter

from motion_core.adapter_file import load_adapter
from motion_core.bases import BASES
from motion_core.errors import ClipError, MotionError, SettingsError
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
        for part in (backbone.unet, backbone.vae, backbone.text.model):
            for module in part.modules():
                for key, value in module._parameters.items():
                    if value is not None:
                        copied = torch.nn.Parameter(value.clone(), requires_grad=False)
                        module._parameters[key] = copied
    assert all(parameter.is_inference() for parameter in backbone.unet.parameters())
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


def tensors_of(motion: Motion) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": tensor
        for name, adapter in motion.adapters.items()
        for key, tensor in adapter.state_dict().items()
    }


def assert_equal_motions(one: Motion, other: Motion) -> None:
    ours, theirs = tensors_of(one), tensors_of(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items())


def runs_of(comfy_base: Path, name: str) -> list[Path]:
    return sorted((comfy_base / "output" / "motion_training").glob(f"{name}-*"))


def test_trains_on_inference_tensors_and_leaves_the_base_as_it_was(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path
) -> None:
    before = {name: t.clone() for name, t in base.backbone.unet.state_dict().items()}
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
    after = base.backbone.unet.state_dict()
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
    assert made == {"step": 4, "file": "step-4.mp4"}
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
    trained(base, clips, name="moved")


def test_a_saving_that_is_cancelled_is_done_in_the_same_file_later(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path, hook: Any, samplings: list[str]
) -> None:
    """Cancelled while the clip is inverted, then in the sample: neither leaves a second file, and
    what was done is not done again.
    """
    for total in (3, base.defaults.sample_steps):  # of the inversion, of the sample

        def cancel(value: int, of: int, total: int = total) -> None:
            if of == total:
                management.interrupt_current_processing(True)

        hook(cancel)
        with pytest.raises(management.InterruptProcessingException):
            trained(base, clips, name="cut short", inversion_steps=3)
        run = shown(comfy_base, "cut-short")
        assert (run["state"], run["step"], run["can_resume"]) == ("cancelled", 4, True)
    comfy.utils.set_progress_bar_global_hook(None)
    noise = comfy_base / "models" / "motion_adapters" / "cut short.noise.safetensors"
    inverted = noise.stat().st_mtime_ns
    output = trained(base, clips, name="cut short", inversion_steps=3)
    assert output.args[1] == "cut short.safetensors" and len(output.args[3]["loss"]) == 4
    assert noise.stat().st_mtime_ns == inverted
    assert not adapter_path(comfy_base, "cut short-2").exists()


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


def test_cancel_keeps_the_run_and_continue_ends_it_the_same(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path, hook: Any
) -> None:
    whole = trained(base, clips, name="whole")

    def cancel_in_step_2(value: int, total: int) -> None:
        if (value, total) == (2, 4):
            management.interrupt_current_processing(True)

    hook(cancel_in_step_2)
    with pytest.raises(management.InterruptProcessingException):
        trained(base, clips, name="halved")
    assert not management.processing_interrupted()
    (run,) = runs_of(comfy_base, "halved")
    state = json.loads((run / "state.json").read_text())
    assert state["state"] == "cancelled" and 2 <= state["step"] <= 3
    assert run_registry().run(run.name)["state"] == "cancelled"
    assert not (comfy_base / "models" / "motion_adapters" / "halved.safetensors").exists()

    comfy.utils.set_progress_bar_global_hook(None)
    rest = trained(base, clips, name="halved")
    assert runs_of(comfy_base, "halved") == [run]
    assert_equal_motions(whole.args[0][0], rest.args[0][0])
    assert whole.args[3] == rest.args[3]


def test_cancel_while_sampling_keeps_the_run(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path, hook: Any
) -> None:
    def cancel_in_a_sample(value: int, total: int) -> None:
        if total == base.defaults.sample_steps:
            management.interrupt_current_processing(True)

    hook(cancel_in_a_sample)
    with pytest.raises(management.InterruptProcessingException):
        trained(base, clips, name="cut-sample", sample_every=3)
    (run,) = runs_of(comfy_base, "cut-sample")
    state = json.loads((run / "state.json").read_text())
    assert (state["state"], state["step"]) == ("cancelled", 3)


def test_cancel_while_the_clips_are_encoded_keeps_the_run(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path
) -> None:
    """The pages have seen it by then; queued again, it is the same run."""
    management.interrupt_current_processing(True)
    with pytest.raises(management.InterruptProcessingException):
        trained(base, clips, name="early")
    (run,) = runs_of(comfy_base, "early")
    shown = run_registry().run(run.name)
    assert (shown["state"], shown["step"], shown["reference"]) == ("cancelled", 0, "reference.mp4")
    assert trained(base, clips, name="early").args[0][0].info.steps == 4
    assert runs_of(comfy_base, "early") == [run]


def test_stop_and_keep_returns_what_is_learned(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path, hook: Any
) -> None:
    def stop_after_step_2(value: int, total: int) -> None:
        if (value, total) == (2, 4):
            run_registry().ask(runs_of(comfy_base, "stopped")[0].name, "stop")

    hook(stop_after_step_2)
    output = trained(base, clips, name="stopped")
    assert output.args[0][0].info.steps < 4 and len(output.args[3]["loss"]) < 4
    comfy.utils.set_progress_bar_global_hook(None)
    reused = trained(base, clips, name="stopped", resume="reuse")
    assert_equal_motions(output.args[0][0], reused.args[0][0])
    whole = trained(base, clips, name="stopped")
    assert whole.args[0][0].info.steps == 4 and whole.args[1] == "stopped-2.safetensors"
    kept = load_motion(adapter_path(comfy_base, "stopped"), "stopped")
    assert_equal_motions(output.args[0][0], kept)
    assert shown(comfy_base, "stopped")["saved_as"] == [
        "stopped.safetensors",
        "stopped-2.safetensors",
    ]


def test_stop_before_the_first_step_leaves_no_file(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: Any, **kwargs: Any) -> Any:
        run_registry().ask(runs_of(comfy_base, "nothing")[0].name, "stop")
        return encode_clips(*args, **kwargs)

    encode_clips = training.encode_clips
    monkeypatch.setattr(training, "encode_clips", stopped)
    with pytest.raises(management.InterruptProcessingException):
        trained(base, clips, name="nothing")
    assert (shown(comfy_base, "nothing")["state"], shown(comfy_base, "nothing")["step"]) == (
        "cancelled",
        0,
    )
    assert not adapter_path(comfy_base, "nothing").exists()


def test_just_the_run_that_is_resumed_goes_on(
    base: MotionBase, clips: tuple[Clip, ...], comfy_base: Path, hook: Any
) -> None:
    """An older run, stopped and kept, of the same settings than a newer one."""

    def stop_after_step_2(value: int, total: int) -> None:
        if (value, total) == (2, 4):
            run_registry().ask(runs_of(comfy_base, "older")[0].name, "stop")

    hook(stop_after_step_2)
    trained(base, clips, name="older")
    comfy.utils.set_progress_bar_global_hook(None)
    trained(base, clips, name="older", resume="new")
    older, newer = runs_of(comfy_base, "older")
    resumed = trained(base, clips, name="older", resume_run=older.name)
    assert resumed.args[1] == "older-3.safetensors"
    assert run_registry().run(older.name)["step"] == 4
    assert run_registry().run(newer.name)["part"] == 1
    with pytest.raises(SettingsError, match="were others"):
        trained(base, clips, name="older", seed=1, resume_run=older.name)
    with pytest.raises(SettingsError, match="is gone"):
        trained(base, clips, name="older", resume_run="gone")


@pytest.mark.parametrize(
    ("objective", "more"),
    [
        ({"objective": "motion-crafter", "blocks": "deep", "parametrisation": "lora"}, {}),
        ({"objective": "motion-inversion", "loss": "base", "debias": "difference"}, {}),
        ({"objective": "motrans", "rank": 4, "appearance_steps": 2, "verb": "zigzagging"}, {}),
        ({"objective": "vmc", "loss": "cosine", "parametrisation": "lora", "rank": 4}, {}),
        ({"objective": "coupled", "rank": 4, "alpha": 0.0, "dropout": 0.0}, {"memory": "low"}),
    ],
    ids=lambda value: value.get("objective", ""),
)
def test_every_method_trains(
    base: MotionBase, clips: tuple[Clip, ...], objective: dict[str, Any], more: dict[str, Any]
) -> None:
    name = objective["objective"]
    (motion,), _, _, losses = trained(base, clips, name=name, objective=objective, **more).args
    assert motion.info.method == name.replace("-", "_") and len(losses["loss"]) == 4


def test_advanced_settings(base: MotionBase, clips: tuple[Clip, ...]) -> None:
    schema = MotionDirectorSettings.GET_SCHEMA()
    widgets = {entry.id: entry.default for entry in schema.inputs}
    (settings,) = called(MotionDirectorSettings, **{**widgets, "loss": "plain"}).args
    (motion,), *_ = trained(base, clips, name="plain", advanced=settings).args
    objective = motion.info.settings["objective"]
    assert (objective["loss"], objective["rank"], objective["dropout"]) == ("plain", 4, 0.0)


def test_an_encoder_in_the_clip_vision_folder_is_found(comfy_base: Path) -> None:
    file = comfy_base / "models" / "clip_vision" / "vit_h.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    widgets = {entry.id: entry.default for entry in MoTransSettings.GET_SCHEMA().inputs}
    (settings,) = called(MoTransSettings, **{**widgets, "image_encoder": file.name}).args
    assert settings.objective == {"image_encoder": str(file)} and not settings.train
    assert called(MoTransSettings, **widgets).args[0].objective == {}
    with pytest.raises(MotionError, match=r"no file gone\.pt under models/clip_vision"):
        called(MoTransSettings, **{**widgets, "image_encoder": "gone.pt"})
    menus = {option.key: option.inputs for option in objective_input().options}
    (encoders,) = [entry for entry in menus["motrans"] if entry.id == "image_encoder"]
    assert encoders.options == [OWN_ENCODER, file.name]


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
    with pytest.raises(SettingsError, match="becomes a file's name"):
        trained(base, clips, name="../refused")
    assert not runs_of(comfy_base, "refused")


@pytest.mark.timeout(900)
def test_memory_stays_flat_over_ten_runs(base: MotionBase, clips: tuple[Clip, ...]) -> None:
    """Resident memory after each of ten small runs; the first three warm the caches up."""
    sizes = []
    for seed in range(100, 110):
        trained(base, clips, name="memory", seed=seed)
        gc.collect()
        sizes.append(psutil.Process().memory_info().rss)
    assert sizes[-1] < 1.05 * sizes[2], sizes


def test_the_cores_loss_graph_takes_the_losses(base: MotionBase, clips: tuple[Clip, ...]) -> None:
    from comfy_extras.nodes_train import LossGraphNode

    losses = trained(base, clips, name="zigzag", sample_every=2).args[3]
    called(LossGraphNode, loss=losses, filename_prefix="loss")


def test_a_clip_of_a_video(comfy_base: Path) -> None:
    """A VIDEO knows its rate; frames at half of it are every second one."""
    levels = torch.linspace(0, 1, 16)[:, None, None, None].expand(16, 64, 96, 3)
    video = InputImpl.VideoFromComponents(
        Types.VideoComponents(images=levels.contiguous(), frame_rate=16)
    )
    output = called(MotionClip, **clip_inputs(video=video, fps=8.0))
    ((clip,), frames) = output.args
    assert clip.fps == 8.0 and clip.frames.shape == (FRAMES, 3, 64, 64)
    assert torch.allclose(frames[:, 0, 0, 0], levels[::2, 0, 0, 0], atol=1e-5)
    shown = output.ui.as_dict()["images"][0]
    assert (comfy_base / "temp" / shown["filename"]).is_file()


def test_a_single_image_is_learned_for_its_looks() -> None:
    output = called(MotionClip, **clip_inputs(video=torch.rand(1, 64, 64, 4)))
    assert output.args[0][0].is_image


def test_clips_are_joined(clips: tuple[Clip, ...]) -> None:
    (joined,) = called(CombineMotionClips, clips_1=clips, clips_2=clips, clips_3=clips).args
    assert len(joined) == 3


def test_clips_of_a_folder(comfy_base: Path) -> None:
    shipped = Path(__file__).parents[3] / "motion_core" / "shape_world" / "clips" / "zigzag.mp4"
    folder = comfy_base / "input" / "moves"
    folder.mkdir(parents=True)
    shutil.copy(shipped, folder / "one.mp4")
    inputs = {**clip_inputs(prompt=""), "folder": "moves"}
    with pytest.raises(ClipError, match=r"one\.mp4 has no caption"):
        called(MotionClipsFromFolder, **inputs)
    seen = MotionClipsFromFolder.fingerprint_inputs(**inputs)
    (folder / "one.txt").write_text(PROMPT)
    assert MotionClipsFromFolder.fingerprint_inputs(**inputs) != seen
    ((clip,), _) = called(MotionClipsFromFolder, **inputs).args
    assert clip.prompt == PROMPT and len(clip.frames) == FRAMES
