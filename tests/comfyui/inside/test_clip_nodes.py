"""What the clip nodes show, and when they run again."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import comfy.model_management as management
import pytest
import torch
from comfy_api.latest import InputImpl, Types
from motion_adapters.nodes import clips as clip_nodes
from motion_adapters.nodes.clips import CombineMotionClips, MotionClip, MotionClipsFromFolder
from motion_adapters.nodes.host import bridge

from motion_core.errors import ClipError
from motion_core.video.writing import write_video
from tests.comfyui.inside.called import NODE, called
from tests.comfyui.inside.trainings import FRAMES, PROMPT, clip_inputs

ZIGZAG = Path(__file__).parents[3] / "motion_core" / "shape_world" / "clips" / "zigzag.mp4"
SETTINGS = clip_inputs(prompt="moving", frames=4, width=0, height=0)


def test_clips_of_another_size_are_shown_too(comfy_base: Path) -> None:
    """A square clip, then one twice as wide as high: in a square it has black bars, each a quarter
    of the height; what is trained keeps its size.
    """
    folder = comfy_base / "input" / "sizes"
    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / "1.mp4", torch.ones(4, 3, 64, 64), 8.0)
    write_video(folder / "2.mp4", torch.ones(4, 3, 32, 64), 8.0)
    clips, shown = called(MotionClipsFromFolder, folder="sizes", **SETTINGS).args
    assert [tuple(clip.frames.shape) for clip in clips] == [(4, 3, 64, 64), (4, 3, 32, 64)]
    assert shown.shape == (8, 64, 64, 3)
    assert shown[:4].min() > 0.95
    assert shown[4:, :15].max() < 0.05 < 0.95 < shown[4:, 18:46].min()
    assert shown[4:, 49:].max() < 0.05


def test_a_folder_is_read_again_when_it_changes(comfy_base: Path) -> None:
    """A folder that comes from another node is None here, and read each time."""
    folder = comfy_base / "input" / "changes"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ZIGZAG, folder / "one.mp4")
    before = MotionClipsFromFolder.fingerprint_inputs("changes", **SETTINGS)
    assert before == MotionClipsFromFolder.fingerprint_inputs("changes", **SETTINGS)
    (folder / "one.txt").write_text("a caption", encoding="utf-8")
    assert before != MotionClipsFromFolder.fingerprint_inputs("changes", **SETTINGS)
    again = MotionClipsFromFolder.fingerprint_inputs(None, **SETTINGS)
    assert isinstance(again, float) and math.isnan(again)


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
    shown = output.ui["images"][0]
    assert (comfy_base / "temp" / shown["filename"]).is_file()


def test_a_clip_without_a_size_suits_the_training_that_it_is_for() -> None:
    """As the page would fill it; without a training, a base of full size."""
    training = {"base": ["1", 3], "clips": [NODE, 0], "objective": "motion-director"}
    others = {
        "1": {"class_type": "SampleMotionBase", "inputs": {"base": "zeroscope"}},
        "2": {"class_type": "TrainMotionAdapter", "inputs": training},
    }
    given = {"video": torch.rand(16, 32, 32, 3), "prompt": PROMPT, "frames": 16}
    output = called(MotionClip, others=others, **given)
    assert output.args[0][0].frames.shape == (16, 3, 64, 64)
    assert output.ui["text"] == [
        "The video (16 frames of 32x32): 16 frames at 8 fps (2 s), 64x64 pixels.",
        "Left out: fps, width, height. They suit the base shape-world-zeroscope.",
    ]
    alone = called(MotionClip, **given)
    assert alone.args[0][0].frames.shape == (16, 3, 512, 512)
    assert "No training" in alone.ui["text"][1]
    assert math.isnan(MotionClip.fingerprint_inputs(video=None, prompt=PROMPT, frames=16))
    whole = MotionClip.fingerprint_inputs(video=None, **clip_inputs())
    assert whole == MotionClip.fingerprint_inputs(video=None, **clip_inputs(frames=None))


def test_a_stride_that_is_not_used_is_said_on_the_node(comfy_base: Path) -> None:
    frames = torch.rand(16, 64, 64, 3)
    output = called(MotionClip, **clip_inputs(video=frames, frames=4, stride=2, fps=8.0))
    assert output.args[0][0].fps == 8.0
    assert output.ui["text"][1].startswith("stride 2 is not used, as fps is 8.")


def test_a_single_image_is_learned_for_its_looks() -> None:
    output = called(MotionClip, **clip_inputs(video=torch.rand(1, 64, 64, 4)))
    assert output.args[0][0].is_image


def test_clips_are_joined() -> None:
    clips = called(MotionClip, **clip_inputs(video=torch.rand(FRAMES, 64, 64, 3))).args[0]
    (joined,) = called(CombineMotionClips, clips_1=clips, clips_2=clips, clips_3=clips).args
    assert len(joined) == 3


def test_clips_of_a_folder(comfy_base: Path) -> None:
    folder = comfy_base / "input" / "moves"
    folder.mkdir(parents=True)
    shutil.copy(ZIGZAG, folder / "one.mp4")
    inputs = {**clip_inputs(prompt=""), "folder": "moves"}
    with pytest.raises(ClipError, match=r"one\.mp4 has no caption"):
        called(MotionClipsFromFolder, **inputs)
    seen = MotionClipsFromFolder.fingerprint_inputs(**inputs)
    (folder / "one.txt").write_text(PROMPT)
    assert MotionClipsFromFolder.fingerprint_inputs(**inputs) != seen
    ((clip,), _) = called(MotionClipsFromFolder, **inputs).args
    assert clip.prompt == PROMPT and len(clip.frames) == FRAMES


def test_reading_is_shown_and_can_be_cancelled(
    comfy_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the node's bar, in percent; a Cancel ends it while frames are read."""
    folder = comfy_base / "input" / "late"
    folder.mkdir(parents=True)
    write_video(folder / "late.mp4", torch.zeros(60, 3, 64, 64), 8.0)
    inputs = {**SETTINGS, "folder": "late", "fps": 0.0, "start_seconds": 6.0}
    shown: list[tuple[int, int]] = []
    monkeypatch.setattr(
        bridge.ProgressBar, "update_absolute", lambda bar, *told: shown.append(told[:2])
    )
    called(MotionClipsFromFolder, **inputs)
    assert {total for _, total in shown} == {100}
    done = [part for part, _ in shown]
    assert done == sorted(done) and done[0] < 10 and done[-1] > 90 and len(done) >= 6
    management.interrupt_current_processing()
    with pytest.raises(management.InterruptProcessingException):
        called(MotionClipsFromFolder, **inputs)
    assert not management.processing_interrupted()


def test_a_large_source_is_warned_of_on_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """1600x1056 and four frames: 4·3·1056·1600·4 bytes = 0.08 GB."""
    said: list[str] = []
    monkeypatch.setattr(clip_nodes, "say_on_node", said.append)
    called(MotionClip, **{**SETTINGS, "video": torch.zeros(4, 1056, 1600, 3), "fps": 0.0})
    assert len(said) == 1
    assert "is 1600x1056 and no width or height is set" in said[0]
    assert "4 frames take 0.1 GB" in said[0]


def test_what_is_transparent_in_an_image_is_white() -> None:
    """The hidden green is not learned."""
    image = torch.zeros(4, 64, 64, 4)
    image[..., 1] = 1.0
    frames = called(MotionClip, **{**SETTINGS, "video": image, "fps": 0.0}).args[1]
    assert (frames == 1).all()


def test_what_cannot_be_is_said_before_anything_is_computed(comfy_base: Path) -> None:
    assert MotionClip.validate_inputs("a car turns", 64, 0) is True
    assert MotionClip.validate_inputs(None, None, None) is True  # from other nodes
    empty = "prompt is empty. Describe the clip, for example 'a car turns left'."
    assert MotionClip.validate_inputs(" ", 64, 64) == empty
    wrong = str(MotionClip.validate_inputs("a car turns", 100, 64))
    assert wrong.startswith("width is 100; expected a multiple of 8")
    large = MotionClip.validate_inputs("a car turns", 64, 4096)
    assert large == "height is 4096; expected at most 2048."
    folder = comfy_base / "input" / "there"
    folder.mkdir(parents=True)
    assert MotionClipsFromFolder.validate_inputs("there") is True
    assert "No folder was given" in str(MotionClipsFromFolder.validate_inputs(""))
    assert "There is no" in str(MotionClipsFromFolder.validate_inputs("not there"))
    assert "width is 4" in str(MotionClipsFromFolder.validate_inputs("there", 4))
