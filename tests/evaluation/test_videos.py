"""Which videos and which of their frames are evaluated."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motion_core.errors import ClipError, SettingsError
from motion_core.evaluation.videos import VideoSettings, load_video, video_length, video_paths
from motion_core.video.writing import write_frames, write_video

SIZE = 20  # no multiple of 8: nothing is cropped


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """b.mp4 of 8 frames at 8 fps, each brighter than the one before; a.mp4 of 4."""
    folder = tmp_path_factory.mktemp("videos")
    grey = torch.linspace(-0.8, 0.8, 8).view(8, 1, 1, 1).expand(8, 3, SIZE, SIZE)
    write_video(folder / "b.mp4", grey, 8.0)
    write_video(folder / "a.mp4", grey[:4], 8.0)
    (folder / "notes.txt").touch()
    return folder


def test_folders_stand_for_their_videos(folder: Path) -> None:
    a, b = folder / "a.mp4", folder / "b.mp4"
    assert video_paths([b, folder]) == [b, a, b]


def test_a_folder_of_images_is_one_video_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    frames = torch.linspace(-1, 1, 3).view(3, 1, 1, 1).expand(3, 3, 8, 8)
    for path, name in zip(write_frames(tmp_path / "f", frames), ("1", "2", "10"), strict=True):
        path.rename(path.with_name(f"{name}.png"))
    (path,) = video_paths([tmp_path / "f"])
    video = load_video(path, VideoSettings())
    assert (video.name, video.fps) == ("f", 8.0)
    assert torch.allclose(video.frames, frames, atol=1 / 127)


def test_all_frames_or_the_first_ones_at_the_videos_own_size(folder: Path) -> None:
    path = folder / "b.mp4"
    every = load_video(path, VideoSettings())
    assert every.frames.shape == (8, 3, SIZE, SIZE)
    assert every.fps == pytest.approx(8.0)
    some = load_video(path, VideoSettings(frames=3))
    assert torch.equal(some.frames, every.frames[:3])


def test_another_rate(folder: Path) -> None:
    """Four a second of eight: every other one."""
    path, settings = folder / "b.mp4", VideoSettings(fps=4.0)
    every = load_video(path, VideoSettings())
    assert torch.equal(load_video(path, settings).frames, every.frames[::2])
    assert video_length(path, settings) == 4
    assert video_length(path, VideoSettings()) == 8


def test_what_cannot_be_evaluated(folder: Path, tmp_path: Path) -> None:
    path = folder / "a.mp4"
    for settings, expected in (
        (VideoSettings(frames=5), "a.mp4 has 4 frames at 8 fps; 5 are needed"),
        (VideoSettings(fps=1.0), "a.mp4 has 1 frames at 1 fps; 2 are needed"),
        (VideoSettings(fps=24.0), "a.mp4 has 8 frames per second; fps is 24"),
    ):
        with pytest.raises(ClipError, match=expected):
            video_length(path, settings)
    for given, expected in (
        (tmp_path / "none.mp4", "There is no"),
        (folder / "notes.txt", "notes.txt cannot be read as a video: it is an empty file"),
        (tmp_path, "contains no videos or images"),
    ):
        with pytest.raises(ClipError, match=expected):
            video_paths([given])


def test_settings_that_cannot_be() -> None:
    with pytest.raises(SettingsError, match="frames is 1; expected 2 or more"):
        VideoSettings(frames=1)
    with pytest.raises(SettingsError, match="fps is 0; expected more than 0"):
        VideoSettings(fps=0)
