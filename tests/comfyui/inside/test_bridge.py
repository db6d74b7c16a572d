"""Between ComfyUI's world and the core's: inference mode, dtypes, images, cancel, folders."""

from __future__ import annotations

import asyncio
import io
import weakref
from pathlib import Path
from types import SimpleNamespace

import comfy.model_management as management
import comfy.utils
import folder_paths
import pytest
import torch
from comfy_api.latest import InputImpl
from comfy_execution.utils import CurrentNodeContext
from motion_adapters.nodes.host import folders
from motion_adapters.nodes.host.bridge import (
    NodeBar,
    core_run,
    fit_for_training,
    frame_source,
    image_from_pixels,
    on_accelerator,
    pixels_from_image,
    say_on_node,
    weight_bytes,
)
from server import BinaryEventTypes, PromptServer
from torch import Tensor, nn

from motion_core.errors import MotionError
from motion_core.events import CancelRun
from motion_core.shape_world.base import load_shape_world
from motion_core.video import decoding
from motion_core.video.clips import cut_clips
from motion_core.video.settings import ClipSettings
from motion_core.video.writing import write_video


def test_inference_tensors_are_replaced_and_others_kept() -> None:
    """What two layers share is one tensor afterwards too, and it can be trained on."""
    with torch.inference_mode():
        tainted = nn.Linear(3, 3)
    clean = nn.Linear(3, 3)
    both = nn.Sequential(tainted, clean, nn.Linear(3, 3))
    both[2].weight = tainted.weight
    expected, kept = tainted.weight.clone(), clean.weight
    with torch.inference_mode(), core_run():
        fit_for_training(both)
    assert not any(parameter.is_inference() for parameter in both.parameters())
    assert torch.equal(both[0].weight, expected) and both[2].weight is both[0].weight
    assert both[1].weight is kept
    both(torch.ones(1, 3)).sum().backward()
    assert both[0].weight.grad is not None


def test_weights_are_back_bit_for_bit_also_after_an_error() -> None:
    backbone = load_shape_world("shape-world-animatediff")
    before = {name: (t, t.data_ptr()) for name, t in backbone.network.state_dict().items()}
    full = weight_bytes(backbone.network)
    assert weight_bytes(backbone.network, torch.bfloat16) < 0.51 * full
    with pytest.raises(ZeroDivisionError), on_accelerator(backbone, torch.bfloat16) as device:
        assert device == management.get_torch_device()
        assert next(backbone.network.parameters()).dtype == torch.bfloat16
        raise ZeroDivisionError
    after = backbone.network.state_dict()
    for name, (tensor, place) in before.items():
        assert after[name].data_ptr() == place and torch.equal(after[name], tensor)


def test_images_there_and_back() -> None:
    image = torch.rand(2, 4, 6, 3)
    pixels = pixels_from_image(image)
    assert pixels.shape == (2, 3, 4, 6) and pixels.min() >= -1 and pixels.max() <= 1
    assert torch.allclose(image_from_pixels(pixels), image, atol=1e-6)
    assert pixels_from_image(torch.rand(1, 4, 6, 4)).shape == (1, 3, 4, 6)
    with pytest.raises(MotionError, match=r"\(4, 6, 3\); expected"):
        pixels_from_image(image[0])


@pytest.fixture
def video_file(tmp_path: Path) -> Path:
    """40 frames at 10 a second, ever brighter."""
    frames = torch.linspace(-0.9, 0.9, 40)[:, None, None, None].expand(-1, 3, 32, 48)
    write_video(tmp_path / "bright.mp4", frames.contiguous(), 10.0)
    return tmp_path / "bright.mp4"


def pixels(video: object, indices: list[int]) -> Tensor:
    with frame_source(video, 8.0) as source:  # type: ignore[arg-type]
        return torch.stack(list(source.read(indices)))


def components_of(video: InputImpl.VideoFromFile) -> InputImpl.VideoFromComponents:
    return InputImpl.VideoFromComponents(video.get_components())


def test_a_videos_file_gives_the_frames_of_the_whole_video(video_file: Path) -> None:
    """Up to the rounding of colours, which differ by 0.046 from frame to frame; from the disk and
    from memory, as it comes from a service.
    """
    on_disk = InputImpl.VideoFromFile(str(video_file))
    in_memory = InputImpl.VideoFromFile(io.BytesIO(video_file.read_bytes()))
    expected = pixels(components_of(on_disk), [0, 7, 39])
    for video in (on_disk, in_memory):
        torch.testing.assert_close(pixels(video, [0, 7, 39]), expected, atol=0.015, rtol=0)
        with frame_source(video, 8.0) as source:
            assert len(source.times) == 40 and 1 / source.interval == pytest.approx(10)
    with frame_source(on_disk, 8.0) as source:
        assert source.name == "bright.mp4"


def test_an_image_has_the_rate_that_is_given() -> None:
    with frame_source(torch.rand(5, 8, 8, 4), 12.0) as source:
        assert 1 / source.interval == pytest.approx(12)
        assert source.name == "The video (5 frames of 8x8)"


@pytest.mark.skipif(
    not hasattr(InputImpl.VideoFromFile, "as_trimmed"), reason="this ComfyUI cannot trim videos"
)
@pytest.mark.parametrize("trim", [(0.5, 1.0), (0.51, 0.0), (-1.5, 0.0), (0.0, 0.7)])
def test_a_trimmed_video_is_that_part_of_its_file(
    video_file: Path, trim: tuple[float, float]
) -> None:
    video = InputImpl.VideoFromFile(str(video_file)).as_trimmed(*trim)
    with frame_source(components_of(video), 8.0) as whole, frame_source(video, 8.0) as source:
        last = len(whole.times) - 1
        assert len(source.times) == last + 1
    ends = pixels(components_of(video), [0, last])
    torch.testing.assert_close(pixels(video, [0, last]), ends, atol=0.015, rtol=0)


@pytest.mark.skipif(
    hasattr(InputImpl.VideoFromFile, "get_active_trim_window"), reason="this ComfyUI tells"
)
def test_a_version_that_trims_in_secret_gives_its_own_frames(
    video_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = InputImpl.VideoFromFile(str(video_file))
    monkeypatch.setattr(InputImpl.VideoFromFile, "as_trimmed", None, raising=False)
    with frame_source(video, 8.0) as source:
        assert source.name == "The video (40 frames of 48x32)"


def test_of_a_long_video_only_the_clips_frames_are_kept(
    video_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what is decoded at most two frames are in memory at once, and nothing is kept of it."""
    decoded: list[weakref.ref[Tensor]] = []
    alive: list[int] = []
    read = decoding._read_pam

    def counted(stream: object) -> Tensor | None:
        image = read(stream)  # type: ignore[arg-type]
        if image is not None:
            decoded.append(weakref.ref(image))
        alive.append(sum(held() is not None for held in decoded))
        return image

    monkeypatch.setattr(decoding, "_read_pam", counted)
    with frame_source(InputImpl.VideoFromFile(str(video_file)), 8.0) as source:
        settings = ClipSettings(frames=4, stride=3, start_seconds=2.0)
        (clip,) = cut_clips(source, settings, "brighter")
    # Frames 20 to 29, and on the way there 0 and 16, for the progress.
    assert len(clip.frames) == 4 and len(decoded) == 12
    assert max(alive) <= 2 and not any(held() is not None for held in decoded)


def test_cancel_goes_through_the_core_as_its_own() -> None:
    """The core sees CancelRun, ComfyUI its own exception, and the flag is taken down once."""
    comfy.utils.set_progress_bar_global_hook(None)
    on_step = NodeBar("1")
    with pytest.raises(management.InterruptProcessingException), core_run():
        on_step(1, 4)
        management.interrupt_current_processing(True)
        with pytest.raises(CancelRun):
            on_step(2, 4)
        on_step(2, 4)
    assert not management.processing_interrupted()
    with pytest.raises(management.InterruptProcessingException), core_run():
        raise CancelRun  # asked for from the panel: there is no flag


def test_folders_are_known_and_made(comfy_base: Path) -> None:
    folders.register_folders()
    folders.register_folders()  # a second time changes nothing
    for key in ("motion_adapters", "animatediff_models", "animatediff_motion_lora", "text2video"):
        assert folder_paths.get_folder_paths(key) == [str(comfy_base / "models" / key)]
        assert (comfy_base / "models" / key).is_dir()
        assert folders.save_folder(key) == comfy_base / "models" / key
    assert folders.runs_folder() == comfy_base / "output" / "motion_training"


@pytest.mark.parametrize(
    ("version", "kind", "scope", "key"),
    [
        ("animatediff-sd15-v3", "lora", "temporal", "animatediff_motion_lora"),
        ("animatediff-sd15-v3", "lora", "spatial", "motion_adapters"),
        ("animatediff-sd15-v3", "weights", "temporal", "motion_adapters"),
        ("shape-world-animatediff", "lora", "temporal", "motion_adapters"),
        ("zeroscope", "lora", "temporal", "motion_adapters"),
    ],
)
def test_where_an_adapter_belongs(version: str, kind: str, scope: str, key: str) -> None:
    info = SimpleNamespace(version=version)
    adapters = {"one": SimpleNamespace(kind=kind, scope=scope)}
    assert folders.adapter_key(info, adapters) == key  # type: ignore[arg-type]


def test_a_text_is_written_on_the_node_that_runs() -> None:
    """As ComfyUI's binary message: the length of the node's id, the id, the text."""
    server = PromptServer.instance
    say_on_node("nobody runs")
    with CurrentNodeContext("prompt", "7"):
        say_on_node("too little memory")
    server.loop.run_until_complete(asyncio.sleep(0))
    kind, message, _ = server.messages.get_nowait()
    assert (kind, message) == (BinaryEventTypes.TEXT, b"\0\0\0\x017too little memory")
    assert server.messages.empty()
