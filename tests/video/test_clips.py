"""clips.py, and through it sources.py, framing.py and ffmpeg.py: real small files, made here."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from motion_core.errors import ClipError, SettingsError
from motion_core.settings import from_mapping
from motion_core.video.clips import (
    clips_from_frames,
    cut_clips,
    load_clips,
    load_image_clip,
    load_image_clips,
    memory_warning,
    window_starts,
)
from motion_core.video.ffmpeg import run_ffmpeg
from motion_core.video.frame_source import FrameSource
from motion_core.video.framing import fit_frame, target_size
from motion_core.video.pictures import image_source
from motion_core.video.settings import ClipSettings
from motion_core.video.sources import file_source, tensor_source, video_source

from .made import LOSSLESS, grey_frames, make_video, numbers


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_every_frame_of_every_container_arrives_in_order(tmp_path: Path, suffix: str) -> None:
    """60 frames at 30 a second. mkv and webm round times to 1 ms, gif to 10 ms, avi has no pts."""
    path = make_video(tmp_path / f"clip{suffix}")
    (clip,) = load_clips(path, ClipSettings(frames=60), "grey")
    assert numbers(clip.frames) == list(range(60))
    assert clip.fps == pytest.approx(30, rel=0.002)
    assert clip.frames.shape == (60, 3, 16, 24)
    assert clip.frames.dtype == torch.float32
    assert (clip.prompt, clip.source) == ("grey", path.name)


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_a_window_amid_a_file_is_the_same_as_in_the_whole(tmp_path: Path, suffix: str) -> None:
    """start 1.1 s at 30 fps is frame 33; stride 3 takes 33, 36, 39, 42; 30 / 3 = 10 fps."""
    path = make_video(tmp_path / f"clip{suffix}")
    (whole,) = load_clips(path, ClipSettings(frames=60), "grey")
    (part,) = load_clips(path, ClipSettings(frames=4, stride=3, start_seconds=1.1), "grey")
    assert numbers(part.frames) == [33, 36, 39, 42]
    assert torch.equal(part.frames, whole.frames[33:45:3])
    assert part.fps == pytest.approx(10, rel=0.002)


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_a_trimmed_video_begins_and_ends_where_it_is_cut(tmp_path: Path, suffix: str) -> None:
    """1.1 s to 1.6 s at 30 fps: frame 33 at 1.1 is in it, frame 48 at 1.6 is not. Times start at 0
    again, so that second 0.2 of it is frame 33 + 6.
    """
    path = make_video(tmp_path / f"clip{suffix}")
    source = video_source(path, 1.1, 0.5)
    assert numbers(torch.stack(list(source.read([0, 1, 14])))) == [33, 34, 47]
    assert len(source.times) == 15 and source.times[0] == 0.0
    (clip,) = cut_clips(source, ClipSettings(frames=3, stride=2, start_seconds=0.2), "grey")
    assert numbers(clip.frames) == [39, 41, 43]
    assert len(video_source(path, 1.1).times) == 27
    with pytest.raises(ClipError, match=r"no frames from second 2\.5 to 3; it ends at second 1\.9"):
        video_source(path, 2.5, 0.5)


def test_windows_spread_from_start_to_the_very_end(tmp_path: Path) -> None:
    """60 frames, 16 at stride 2 span 15·2 + 1 = 31 of them, so the starts share 60 − 31 = 29 steps:
    0, 14.5 → 15, 29. The last frame of the last window is 29 + 30 = 59.
    """
    settings = ClipSettings(frames=16, stride=2, windows=3)
    assert window_starts(60, 0, settings, "clip") == [0, 15, 29]
    clips = load_clips(make_video(tmp_path / "clip.mp4"), settings, "grey")
    assert [numbers(clip.frames)[0] for clip in clips] == [0, 15, 29]
    assert numbers(clips[-1].frames)[-1] == 59
    assert {len(clip.frames) for clip in clips} == {16}
    assert [clip.source for clip in clips] == [
        f"clip.mp4 from {second} s" for second in ("0.00", "0.50", "0.97")
    ]


def test_windows_know_their_video_and_no_other() -> None:
    """The same name, other pixels: another video. A clip that is alone needs no identity."""
    settings = ClipSettings(frames=4, windows=2)
    one = clips_from_frames(grey_frames(8), 8, "grey", settings)
    other = clips_from_frames(grey_frames(9), 8, "grey", settings)
    assert one[0].video == one[1].video != ""
    assert one[0].video != other[0].video
    assert clips_from_frames(grey_frames(8), 8, "grey", ClipSettings(frames=4))[0].video == ""


def test_window_starts_by_hand() -> None:
    """Slack 20 − 10 − 4 = 6 after first = 10: four windows at 10 + 0, 2, 4, 6. One: at first."""
    assert window_starts(20, 10, ClipSettings(frames=4, windows=4), "clip") == [10, 12, 14, 16]
    assert window_starts(20, 10, ClipSettings(frames=4), "clip") == [10]
    assert window_starts(4, 0, ClipSettings(frames=4), "clip") == [0]


def test_too_short_says_how_much_there_is() -> None:
    """14 frames at stride 2 are 0, 2 … 12: 7 of them."""
    settings = ClipSettings(frames=16, stride=2)
    message = r"clip has 7 frames at stride 2; 16 were requested. Lower frames or stride"
    with pytest.raises(ClipError, match=message):
        clips_from_frames(grey_frames(14), 8, "grey", settings, "clip")
    message = r"has 2 frames at stride 2 from second 1.25; .* frames or stride, or start earlier,"
    late = ClipSettings(frames=16, stride=2, start_seconds=1.25)
    with pytest.raises(ClipError, match=message):
        clips_from_frames(grey_frames(14), 8, "grey", late, "clip")


def test_one_frame_of_a_video_is_refused() -> None:
    """It would be taken for an image, and no motion learned."""
    with pytest.raises(ClipError, match=r"frames is 1 for car, which has 5; .* 2 frames or more"):
        clips_from_frames(grey_frames(5), 8, "grey", ClipSettings(frames=1), "car")
    assert clips_from_frames(grey_frames(1), 8, "grey", ClipSettings(frames=1))[0].is_image


def test_more_windows_than_there_are_places() -> None:
    """5 frames hold 5 − 4 + 1 = 2 different windows of 4."""
    settings = ClipSettings(frames=4, windows=3)
    with pytest.raises(ClipError, match=r"room for 2 different windows of 4 .*; 3 were requested"):
        clips_from_frames(grey_frames(5), 8, "grey", settings)


def test_target_fps_takes_the_nearest_frames() -> None:
    """30 → 8 fps: step 3.75 frames: 0, 3.75, 7.5, 11.25, 15 → 0, 4, 7 (tie: earlier), 11, 15."""
    settings = ClipSettings(frames=5, fps=8.0)
    (clip,) = clips_from_frames(grey_frames(20), 30, "grey", settings)
    assert numbers(clip.frames) == [0, 4, 7, 11, 15]
    assert clip.fps == 8


def test_target_fps_over_the_source_is_refused() -> None:
    with pytest.raises(ClipError, match=r"has 8 frames per second; fps is 24, .* Lower fps"):
        clips_from_frames(grey_frames(20), 8, "grey", ClipSettings(fps=24.0))


def test_variable_rate_keeps_time(tmp_path: Path) -> None:
    """Frames 10 … 19 are missing from the file, the times of the others stay. On the clock of 30 a
    second, tick 10 … 14 is nearest to frame 9 (14: 5 against 6 frames away), 15 … 19 to frame 20.
    """
    gap = ["-vf", "select='not(between(n,10,19))'", "-fps_mode", "passthrough"]
    path = make_video(tmp_path / "gap.mkv", extra=gap)
    (clip,) = load_clips(path, ClipSettings(frames=60), "grey")
    expected = [*range(10), *[9] * 5, *[20] * 5, *range(20, 60)]
    assert numbers(clip.frames) == expected
    assert clip.fps == pytest.approx(30, rel=0.002)


def test_frames_cut_away_by_an_edit_list_are_not_shown(tmp_path: Path) -> None:
    """Trimming without re-encoding keeps all packets and hides those before 0.5 s (15 frames)."""
    whole = make_video(tmp_path / "whole.mp4", extra=["-g", "60"])
    trimmed = tmp_path / "trimmed.mp4"
    done = run_ffmpeg(["-ss", "0.5", "-i", str(whole), "-c", "copy", str(trimmed)])
    assert done.status == 0, done.errors
    (clip,) = load_clips(trimmed, ClipSettings(frames=45), "grey")
    assert numbers(clip.frames) == list(range(15, 60))
    (late,) = load_clips(trimmed, ClipSettings(frames=2, start_seconds=1.0), "grey")
    assert numbers(late.frames) == [45, 46]


def test_rotation_metadata_is_followed(tmp_path: Path) -> None:
    plain = make_video(tmp_path / "plain.mp4", count=16)
    turned = tmp_path / "turned.mp4"
    arguments = ["-display_rotation", "90", "-i", str(plain), "-c", "copy", str(turned)]
    assert run_ffmpeg(arguments).status == 0
    (clip,) = load_clips(turned, ClipSettings(), "grey")
    assert clip.frames.shape == (16, 3, 24, 16)


def test_cut_off_files_are_named(tmp_path: Path) -> None:
    """With the index at its end, a cut mp4 has none; at its front, frames are missing."""
    whole = make_video(tmp_path / "whole.mp4")
    front = make_video(tmp_path / "front.mp4", extra=["-movflags", "+faststart"])
    mkv = make_video(tmp_path / "whole.mkv")
    for path, reason in ((whole, "moov atom"), (front, "partial file"), (mkv, "ended prematurely")):
        cut = tmp_path / f"cut_{path.name}"
        data = path.read_bytes()
        cut.write_bytes(data[: len(data) * 2 // 3])
        with pytest.raises(
            ClipError, match=f"cut_{path.name} .*{reason}.*[Dd]ownload it again"
        ) as info:
            load_clips(cut, ClipSettings(), "grey")
        assert "\n" not in str(info.value)


def test_a_frame_that_cannot_be_decoded_is_an_error(tmp_path: Path) -> None:
    """The last of 16 frames of a gif lacks its end; the 15 before it are whole."""
    path = make_video(tmp_path / "clip.gif", count=16)
    path.write_bytes(path.read_bytes()[:-40])
    assert len(load_clips(path, ClipSettings(frames=15), "grey")[0].frames) == 15
    with pytest.raises(ClipError, match=r"clip.gif is damaged: frame 15 .*Choose an earlier"):
        load_clips(path, ClipSettings(frames=16), "grey")


def test_damage_that_ffmpeg_hides_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Overwriting a part of the pictures leaves the index whole: frames come, but wrong."""
    path = make_video(tmp_path / "clip.mp4", count=16)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    middle = start + (data.index(b"moov") - start) * 3 // 4
    data[middle : middle + 30] = bytes(range(30))
    path.write_bytes(bytes(data))
    with caplog.at_level(logging.WARNING):
        (clip,) = load_clips(path, ClipSettings(frames=16), "grey")
    assert clip.frames.shape[0] == 16
    assert "clip.mp4: some frames may be damaged" in caplog.text


@pytest.mark.parametrize("content", [b"", b"hello, I am a text file"])
def test_not_a_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "words.mp4"
    path.write_bytes(content)
    with pytest.raises(ClipError, match=r"words.mp4 cannot be read as a video"):
        load_clips(path, ClipSettings(), "words")


def test_a_sound_file_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    done = run_ffmpeg(["-f", "lavfi", "-i", "sine=duration=0.1", str(path)])
    assert done.status == 0, done.errors
    with pytest.raises(
        ClipError, match=r"sound.mp4 cannot be read as a video: .*matches no streams"
    ):
        load_clips(path, ClipSettings(), "sound")


def test_missing_and_unknown_files(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"There is no .*absent.mp4"):
        load_clips(tmp_path / "absent.mp4", ClipSettings(), "x")
    (tmp_path / "clip.xyz").write_bytes(b"x")
    with pytest.raises(ClipError, match=r"clip.xyz cannot be read as a video: it is a text file"):
        load_clips(tmp_path / "clip.xyz", ClipSettings(), "x")
    with pytest.raises(ClipError, match="contains no videos or images"):
        load_clips(tmp_path, ClipSettings(), "x")
    with pytest.raises(ClipError, match="contains no images"):
        load_image_clips(tmp_path, ClipSettings(), "x")


def test_folder_of_videos_with_captions(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mp4"):
        make_video(tmp_path / name, count=4)
    settings = ClipSettings(frames=4)
    (tmp_path / "a.txt").write_text("\ufeff a  grey\nsquare \n", encoding="utf-8")
    with pytest.raises(ClipError, match=r"b.mp4 has no caption. Give a prompt, or .* b.txt next"):
        load_clips(tmp_path, settings)
    (tmp_path / "b.txt").write_text("a dark one")
    assert [(c.source, c.prompt) for c in load_clips(tmp_path, settings)] == [
        ("a.mp4", "a grey square"),
        ("b.mp4", "a dark one"),
    ]
    assert {clip.prompt for clip in load_clips(tmp_path, settings, "given")} == {"given"}
    (tmp_path / "b.txt").write_text(" \n")
    with pytest.raises(ClipError, match=r"prompt of b.txt is empty"):
        load_clips(tmp_path, settings)


def save_images(folder: Path, names: list[str]) -> None:
    folder.mkdir()
    for name, frame in zip(names, grey_frames(len(names)), strict=True):
        Image.fromarray(frame.numpy()).save(folder / name)


def test_folder_of_images_is_one_clip_in_the_order_of_numbers(tmp_path: Path) -> None:
    save_images(tmp_path / "walk", ["f1.png", "f2.png", "f3.PNG", "f10.png"])
    (tmp_path / "walk.txt").write_text("a walk")
    (clip,) = load_clips(tmp_path / "walk", ClipSettings(frames=4))
    assert (numbers(clip.frames), clip.fps, clip.prompt) == ([0, 1, 2, 3], 8.0, "a walk")
    (faster,) = load_clips(tmp_path / "walk", ClipSettings(frames=4, fps=24.0))
    assert (numbers(faster.frames), faster.fps) == ([0, 1, 2, 3], pytest.approx(24))


def test_images_of_different_sizes_are_not_one_clip(tmp_path: Path) -> None:
    save_images(tmp_path / "mixed", ["1.png", "2.png"])
    Image.new("RGB", (32, 32)).save(tmp_path / "mixed" / "3.png")
    with pytest.raises(ClipError, match="frame 2 of mixed is 32x32; the first is 24x16"):
        load_clips(tmp_path / "mixed", ClipSettings(frames=3), "mixed")


def test_images_for_the_appearance_path(tmp_path: Path) -> None:
    """A level of 8 is 8 / 127.5 − 1."""
    save_images(tmp_path / "set", ["1.png", "2.png", "3.png"])
    clips = load_image_clips(tmp_path / "set", ClipSettings(), "grey")
    assert [numbers(clip.frames) for clip in clips] == [[0], [1], [2]]
    assert all(clip.is_image for clip in clips)
    clip = load_image_clip(tmp_path / "set" / "3.png", ClipSettings(), "grey")
    assert torch.equal(clip.frames, torch.full((1, 3, 16, 24), 8 / 127.5 - 1))
    assert torch.equal(
        load_clips(tmp_path / "set" / "3.png", ClipSettings(), "grey")[0].frames, clip.frames
    )


def test_a_broken_image_and_a_turned_one(tmp_path: Path) -> None:
    save_images(tmp_path / "set", ["1.png"])
    data = (tmp_path / "set" / "1.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(ClipError, match=r"cut.png cannot be read as an image"):
        load_image_clip(tmp_path / "cut.png", ClipSettings(), "x")
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    Image.new("RGB", (24, 16)).save(tmp_path / "turned.jpg", exif=exif)
    clip = load_image_clip(tmp_path / "turned.jpg", ClipSettings(), "x")
    assert clip.frames.shape == (1, 3, 24, 16)


def test_tensor_frames_in_both_types_are_the_same_clip() -> None:
    """Level 4k is 4k / 127.5 − 1, and 2·(4k / 255) − 1 is the same."""
    frames = grey_frames(4)
    settings = ClipSettings(frames=4)
    (whole,) = clips_from_frames(frames, 8, "grey", settings)
    (floating,) = clips_from_frames(frames / 255, 8, "grey", settings)
    assert torch.allclose(whole.frames, floating.frames, atol=1e-6)
    assert whole.frames[3, 0, 0, 0].item() == pytest.approx(12 / 127.5 - 1)
    assert whole.frames.is_contiguous()


def test_frames_from_inference_mode_can_be_trained_on() -> None:
    with torch.inference_mode():
        frames = grey_frames(4) / 255
        kept = frames.clone()
        (clip,) = clips_from_frames(frames, 8, "grey", ClipSettings(frames=4))
    assert not clip.frames.is_inference()
    assert torch.equal(frames, kept)
    weight = torch.ones(1, requires_grad=True)
    (clip.frames * weight).sum().backward()


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (torch.zeros(4, 3, 16, 24), r"shape \(4, 3, 16, 24\); expected \(F, H, W, 3\)"),
        (torch.zeros(4, 16, 24, 2), "RGB, or 4 with alpha"),
        (torch.zeros(4, 16, 24, 3, dtype=torch.int64), "torch.int64; expected uint8"),
        (
            torch.full((4, 16, 24, 3), -1.0),
            "values range from -1 to -1; expected floats from 0 to 1",
        ),
        (torch.full((4, 16, 24, 3), torch.nan), "values range from nan to nan"),
    ],
)
def test_frames_of_another_kind(frames: Tensor, message: str) -> None:
    with pytest.raises(ClipError, match=message):
        clips_from_frames(frames, 8, "x", ClipSettings(frames=4))


def test_other_wrong_arguments() -> None:
    frames = grey_frames(4)
    with pytest.raises(ClipError, match="fps is 0"):
        clips_from_frames(frames, 0, "x", ClipSettings(frames=4))
    with pytest.raises(ClipError, match="prompt of frames is empty"):
        clips_from_frames(frames, 8, " ", ClipSettings(frames=4))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 100}, "width is 100; expected a multiple of 8"),
        ({"height": "64"}, "height is '64'; expected a whole number, or none"),
        ({"frames": 0}, "frames is 0; expected at least 1"),
        ({"stride": 2, "fps": 8}, "stride is 2; expected 1 if fps is given"),
        ({"fps": -1}, "fps is -1.0; expected more than 0"),
        ({"fps": "8"}, "fps is '8'; expected a number, or none"),
        ({"start_seconds": -1}, "start_seconds is -1.0; expected at least 0"),
        ({"start_seconds": float("inf")}, "start_seconds is inf; expected at least 0"),
        ({"fps": float("inf")}, "fps is inf; expected more than 0"),
        ({"fit": "zoom"}, "fit is 'zoom'; expected 'crop' or 'pad' or 'stretch'"),
        ({"framse": 8}, "Did you mean 'frames'"),
    ],
)
def test_settings_refuse(values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        from_mapping(ClipSettings, values)


def test_target_size_by_hand() -> None:
    """1080·512/1920 = 288. 486/8 = 60.75 → 61·8 = 488. 720·320/480 = 480."""
    assert target_size(1080, 1920, None, 512) == (288, 512)
    assert target_size(486, 720, None, None) == (488, 720)
    assert target_size(480, 720, 320, None) == (320, 480)
    assert target_size(480, 720, 64, 64) == (64, 64)
    assert target_size(2, 3, None, None) == (8, 8)


def test_fit_by_hand() -> None:
    """A 16x32 frame, left half black (−1), right half white (1), to 16x16.

    crop keeps columns 8 … 23, so the edge stays in the middle and no pixel is resampled; pad halves
    it to 8x16 and puts 4 black rows above and below; stretch halves the width only.
    """
    frame = torch.full((3, 16, 32), -1.0)
    frame[:, :, 16:] = 1
    assert torch.equal(fit_frame(frame, 16, 16, "crop"), frame[:, :, 8:24])
    padded = fit_frame(frame, 16, 16, "pad")
    assert (padded[:, :4] == -1).all() and (padded[:, 12:] == -1).all()
    assert (padded[:, 4:12, 11:] > 0.98).all() and (padded[:, 4:12, :5] < -0.98).all()
    stretched = fit_frame(frame, 16, 16, "stretch")
    assert (stretched[:, :, 11:] > 0.98).all() and (stretched[:, :, :5] < -0.98).all()
    assert torch.equal(fit_frame(frame, 16, 32, "pad"), frame)


def test_shrinking_is_antialiased_and_stays_in_range() -> None:
    """One white column in eight: shrunk eightfold, each pixel is their mean (1 − 7) / 8 = −0.75.
    Without antialiasing the kernel sees four columns in the middle of the eight, all black.
    """
    frame = torch.full((3, 64, 64), -1.0)
    frame[:, :, ::8] = 1
    small = fit_frame(frame, 8, 8, "stretch")
    assert (small[:, :, 1:-1] + 0.75).abs().max() < 0.1
    edge = torch.ones(3, 64, 64)
    edge[:, :, 30:] = -1
    assert fit_frame(edge, 40, 40, "stretch").abs().max() <= 1


def test_a_size_is_applied_to_every_frame_of_a_clip() -> None:
    settings = ClipSettings(frames=3, width=64, height=32)
    (clip,) = clips_from_frames(grey_frames(3), 8, "grey", settings)
    assert clip.frames.shape == (3, 3, 32, 64)
    assert numbers(clip.frames) == [0, 1, 2]
    assert np.ptp(clip.frames[2].numpy()) < 1e-4


def test_a_large_source_without_a_size_is_warned_of_before_it_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """3840x2160: 2 windows of 16 frames are 32·3·2160·3840·4 bytes = 3.19 GB. 1024x1024 is not
    large.
    """
    read: list[object] = []

    def never(*arguments: object) -> Iterator[Tensor]:
        read.append(arguments)
        raise MemoryError

    times = [k / 30 for k in range(60)]
    source = FrameSource(name="big.mp4", times=times, read=never, size=(2160, 3840))
    noted: list[str] = []
    with pytest.raises(MemoryError):
        cut_clips(source, ClipSettings(windows=2), "big", on_note=lambda t: noted.append(t))
    assert len(read) == 1
    assert noted == [
        "big.mp4 is 3840x2160 and no width or height is set, so it keeps that size: 32 frames take "
        "3.2 GB of memory, and training on them takes many times more. Set the width and height "
        "that suit the base, 512 for AnimateDiff."
    ]
    with pytest.raises(MemoryError):
        cut_clips(source, ClipSettings(), "big")
    assert "16 frames take 1.6 GB" in caplog.text
    for size, settings in (
        ((1024, 1024), ClipSettings()),
        ((2160, 3840), ClipSettings(width=512)),
        ((2160, 3840), ClipSettings(height=512)),
        (None, ClipSettings()),
    ):
        assert memory_warning(replace(source, size=size), settings) == ""


def test_every_source_knows_its_size(tmp_path: Path) -> None:
    """(height, width), as it is shown: EXIF's orientation 6 turns a picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (24, 16)).save(tmp_path / "turned.jpg", exif=exif)
    frames = [Image.new("L", (24, 16), level) for level in (0, 90)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    assert image_source([tmp_path / "turned.jpg"], "turned").size == (24, 16)
    assert file_source(tmp_path / "a.webp").size == (16, 24)
    assert file_source(make_video(tmp_path / "a.mp4", count=2)).size == (16, 24)
    assert tensor_source(grey_frames(2), "frames", 8).size == (16, 24)
