"""streams.py, decoding.py and looks.py: which frames come out of a file, and how they look."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from motion_core.events import CancelRun
from motion_core.video import decoding, looks
from motion_core.video.clips import load_clips
from motion_core.video.frame_source import FrameSource, ignore
from motion_core.video.header import shown_size
from motion_core.video.settings import ClipSettings
from motion_core.video.sources import video_source
from motion_core.video.streams import VideoStream, probe

from .made import converted, encode, grey_frames, make_video, numbers

H264_PARAMETERS = "keyint=12:min-keyint=12:scenecut=0:bframes=2:b-adapt=0"
H264 = ["-c:v", "libx264", "-qp", "2", "-pix_fmt", "yuv420p", "-x264-params", H264_PARAMETERS]
# Containers and raw streams, by the names that cameras and downloaders give them.
FILES = {
    "camera.mts": [*H264, "-f", "mpegts"],
    "bluray.m2ts": H264,
    "tv.ts": H264,
    "downloaded.mp4": [*H264, "-f", "mpegts"],
    "raw.h264": H264,
    "raw.mp4": [*H264, "-f", "h264"],
    "dvd.vob": ["-c:v", "mpeg2video", "-q:v", "1", "-g", "12", "-bf", "2", "-f", "vob"],
    "old.mpg": ["-c:v", "mpeg2video", "-q:v", "1", "-g", "12", "-bf", "2"],
    "uncompressed.y4m": ["-pix_fmt", "yuv444p"],
    "windows.wmv": ["-c:v", "wmv2", "-q:v", "1"],
    "flash.flv": ["-c:v", "libx264", "-qp", "2", "-x264-params", H264_PARAMETERS],
    "phone.3gp": ["-c:v", "libx264", "-qp", "2", "-x264-params", H264_PARAMETERS],
}
PQ, HLG = "smpte2084", "arib-std-b67"


def make(path: Path, codec: list[str], count: int = 60, fps: float = 30) -> Path:
    frames = grey_frames(count, 32, 48)
    return encode(path, frames.numpy().tobytes(), "rgb24", (48, 32), fps, codec)


def read(source: FrameSource, indices: list[int]) -> Tensor:
    return torch.stack(list(source.read(indices)))


def levels(frame: Tensor) -> Tensor:
    """Of (3, H, W): (H, W, 3), 0 … 255."""
    return ((frame + 1) * 127.5).permute(1, 2, 0)


@pytest.mark.parametrize("name", FILES)
def test_frames_amid_a_file_are_those_of_the_whole(tmp_path: Path, name: str) -> None:
    """A transport stream cannot be sought to a frame; its clock starts at 1.4 s or later. Second
    1.1 at 30 a second is frame 33; 1.1 to 1.6 s is 33 … 47. Three windows of 6 among 60 begin at
    0, 27 and 54.
    """
    path = make(tmp_path / name, FILES[name])
    source = video_source(path)
    assert 1 / source.interval == pytest.approx(30, rel=0.002)
    whole = read(source, list(range(60)))
    assert numbers(whole) == list(range(60))
    assert torch.equal(read(source, [33, 36, 36, 59]), whole[[33, 36, 36, 59]])
    trimmed = video_source(path, 1.1, 0.5)
    assert len(trimmed.times) == 15
    assert torch.equal(read(trimmed, [0, 14]), whole[[33, 47]])
    clips = load_clips(path, ClipSettings(frames=6, windows=3), "grey")
    assert [numbers(clip.frames)[0] for clip in clips] == [0, 27, 54]


def test_a_raw_stream_of_hevc(tmp_path: Path) -> None:
    """24 a second, as its header says."""
    lossless = ["-x265-params", "lossless=1:log-level=none:keyint=12", "-pix_fmt", "yuv444p"]
    path = make(tmp_path / "raw.hevc", ["-c:v", "libx265", *lossless], fps=24)
    source = video_source(path)
    assert 1 / source.interval == pytest.approx(24)
    assert numbers(read(source, [0, 30, 59])) == [0, 30, 59]


def test_seeking_that_lands_too_late_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are at 0, 12, 24, 36 and 48. Decoding that is to begin at a wrong key, 31, begins at 36
    in truth, which its time tells; so it begins anew, at the file's start.
    """
    path = make(tmp_path / "a.ts", H264)
    stream = probe(path)
    assert [stream.key_before(index) for index in (0, 11, 12, 35, 59)] == [0, 0, 12, 24, 48]
    begun: list[int] = []
    arguments = decoding._arguments

    def watched(stream: VideoStream, key: int, first: int, last: int) -> list[str]:
        begun.append(key)
        return arguments(stream, key, first, last)

    monkeypatch.setattr(decoding, "_arguments", watched)
    wrong = replace(stream, keys=[0, 31])
    frames = torch.stack(list(decoding.decode(wrong, [33, 34], ignore)))
    assert numbers(frames) == [33, 34]
    assert begun == [31, 0]


def test_a_recording_cut_out_of_another_begins_at_its_first_key(tmp_path: Path) -> None:
    """Packets of 188 bytes; 40 of them are frames 0 … 9 and a little more. The key after them is
    frame 12, and those between are of no use without the one before.
    """
    data = make(tmp_path / "whole.ts", H264).read_bytes()
    tables = data[: 3 * 188]
    (tmp_path / "cut.ts").write_bytes(tables + data[20 * 188 :])
    source = video_source(tmp_path / "cut.ts")
    assert len(source.times) == 48
    assert numbers(read(source, [0, 1, 47])) == [12, 13, 59]


def test_progress_is_told_on_the_way_to_a_late_start(tmp_path: Path) -> None:
    """One key at the beginning, frames 50 and 51 asked for: of the frames that are skipped every
    16th is told, 0, 16, 32 and 48, as (n + 1) / 52 of the way.
    """
    path = make_video(tmp_path / "a.mp4", extra=["-x264-params", "keyint=100:scenecut=0"])
    told: list[float] = []
    list(video_source(path).read([50, 51], told.append))
    assert [round(52 * part) for part in told] == [0, 16, 32, 48, 50, 51]


def test_progress_covers_all_windows_and_files(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.webm"):
        make_video(tmp_path / name, count=8)
    told: list[float] = []
    settings = ClipSettings(frames=4, windows=2)
    load_clips(tmp_path, settings, "grey", told.append)
    assert told == sorted(told) and told[0] == 0 and told[-1] < 1
    assert {math.floor(4 * part) for part in told} == {0, 1, 2, 3}


def test_a_cancel_is_heard_while_frames_are_skipped(tmp_path: Path) -> None:
    """And ends ffmpeg."""
    path = make_video(tmp_path / "a.mp4", extra=["-x264-params", "keyint=100:scenecut=0"])

    def cancel(done: float) -> None:
        if done > 0.3:
            raise CancelRun("Cancelled.")

    with pytest.raises(CancelRun):
        load_clips(path, ClipSettings(frames=2, start_seconds=1.8), "grey", cancel)


FIELDS = {
    ".mp4": ["-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p", "-flags", "+ildct+ilme"],
    ".mts": ["-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p", "-flags", "+ildct+ilme"],
    ".mpg": ["-c:v", "mpeg2video", "-q:v", "1", "-flags", "+ildct+ilme"],
}


def combed(count: int = 8) -> np.ndarray:
    """Frame k has 40 + 16k in its even lines, 8 more in its odd ones, which are shown later."""
    frames = np.zeros((count, 32, 48, 3), np.uint8)
    for k in range(count):
        frames[k, 0::2], frames[k, 1::2] = 40 + 16 * k, 48 + 16 * k
    return frames


@pytest.mark.parametrize("suffix", FIELDS)
def test_interlaced_video_has_no_combs(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One frame for two fields: the lines of the first stay, those of the second are drawn anew; so
    frame k is 40 + 16k throughout. The first of a window is helped by the one before it.
    """
    codec = ["-vf", "setfield=tff", *FIELDS[suffix]]
    path = encode(tmp_path / f"a{suffix}", combed().tobytes(), "rgb24", (48, 32), 25, codec)
    with caplog.at_level(logging.INFO):
        source = video_source(path)
    assert "is interlaced: it is deinterlaced (bwdif)" in caplog.text
    frames = read(source, list(range(8)))
    assert 1 / source.interval == pytest.approx(25)
    lines = levels(frames.mean(dim=3, keepdim=True)[4])[:, 0, 0]
    assert lines.tolist() == pytest.approx([104] * 32, abs=1.5)
    assert torch.equal(read(source, [5, 6]), frames[5:7])


def test_lines_of_progressive_video_stay(tmp_path: Path) -> None:
    path = make_fine_lines(tmp_path / "a.mp4")
    lines = levels(next(video_source(path).read([4])))[:, 0, 0]
    assert lines.tolist() == pytest.approx([104, 112] * 16, abs=1.5)


def make_fine_lines(path: Path) -> Path:
    codec = ["-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p"]
    return encode(path, combed().tobytes(), "rgb24", (48, 32), 25, codec)


@pytest.mark.parametrize(
    ("aspect", "width", "height"), [("2/1", 96, 32), ("1/2", 48, 64), ("16/15", 51, 32)]
)
def test_pixels_become_square(
    tmp_path: Path, aspect: str, width: int, height: int, caplog: pytest.LogCaptureFixture
) -> None:
    """48x32 pixels. The side that is too short grows: 48·2, 32·2, 48·16/15 = 51.2."""
    path = make_video_of_shape(tmp_path / "a.mkv", aspect)
    with caplog.at_level(logging.INFO):
        source = video_source(path)
    assert source.size == (height, width)
    frame = next(source.read([1]))
    assert frame.shape == (3, height, width)
    assert f"is scaled to {width}x{height}" in caplog.text
    left, right = frame[:, :, : width // 2 - 2], frame[:, :, width // 2 + 2 :]
    assert left.max() < -0.9 and right.min() > 0.9


def make_video_of_shape(path: Path, aspect: str) -> Path:
    """Left half black, right half white."""
    frames = np.zeros((3, 32, 48, 3), np.uint8)
    frames[:, :, 24:] = 255
    codec = ["-vf", f"setsar={aspect}", "-c:v", "ffv1"]
    return encode(path, frames.tobytes(), "rgb24", (48, 32), 10, codec)


def test_a_turned_video_has_turned_pixels(tmp_path: Path) -> None:
    """48x32 of pixels twice as wide is 96x32; turned, 32x96."""
    path = make(tmp_path / "a.mp4", ["-vf", "setsar=2/1", *H264], count=4)
    turned = tmp_path / "turned.mp4"
    converted(turned, ["-display_rotation", "90", "-i", str(path), "-c", "copy"])
    source = video_source(turned)
    assert source.size == (96, 32)
    assert next(source.read([0])).shape == (3, 96, 32)


def test_shown_size_by_hand() -> None:
    """PAL and NTSC: 720·16/15 = 768, 480·11/10 = 528."""
    assert shown_size(720, 576, Fraction(16, 15)) == (768, 576)
    assert shown_size(720, 480, Fraction(10, 11)) == (720, 528)
    assert shown_size(720, 480, Fraction(1)) == (720, 480)


def linear(level: float) -> float:
    """sRGB's 0 … 255 as light, 0 … 1 (IEC 61966-2-1)."""
    value = level / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def pq_signal(nits: float) -> float:
    """0 … 1 (SMPTE ST 2084, 5.1)."""
    y = (nits / 10000) ** (2610 / 16384)
    fraction = (3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)
    return fraction ** (2523 / 32)


def hlg_signal(nits: float) -> float:
    """0 … 1, of grey on a display of 1000 nits: light to the power 1 / 1.2, then the curve (ITU-R
    BT.2100, table 5).
    """
    light = (nits / 1000) ** (1 / 1.2)
    if light <= 1 / 12:
        return math.sqrt(3 * light)
    return 0.17883277 * math.log(12 * light - 0.28466892) + 0.55991073


def hdr_video(path: Path, signals: list[list[float]], transfer: str) -> Path:
    """Vertical stripes, each of R'G'B' in BT.2020, as 10-bit Y'CbCr (BT.2100, tables 6 and 9)."""
    planes = np.zeros((2, 3, 16, 16 * len(signals)), np.uint16)
    for number, (red, green, blue) in enumerate(signals):
        y = 0.2627 * red + 0.6780 * green + 0.0593 * blue
        values = (64 + 876 * y, 512 + 896 * (blue - y) / 1.8814, 512 + 896 * (red - y) / 1.4746)
        for plane, value in enumerate(values):
            planes[:, plane, :, 16 * number : 16 * number + 16] = round(value)
    tags = f"setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc={transfer}:range=tv"
    codec = ["-vf", tags, "-c:v", "ffv1"]
    size = (16 * len(signals), 16)
    return encode(path, planes.tobytes(), "yuv444p10le", size, 10, codec)


def stripes(path: Path) -> list[list[float]]:
    return levels(next(video_source(path).read([1])))[8, 8::16].tolist()


# From BT.709's primaries to BT.2020's (ITU-R BT.2087, 4).
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
WHITE = 203
"""Nits (ITU-R BT.2408)."""


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_grey_comes_back_as_it_was(
    tmp_path: Path, transfer: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Below 0.75 of white light is kept. White itself: with p = 1000 / 203 and j = 0.75 mobius is
    (b + j)² / (b − a)·(x + a) / (x + b), a = −j²(p − 1) / (j² − 2j + p), b = (j² − 2jp + p) / (p −
    1), so that 1 becomes 0.879, which is 241 in sRGB; the peak becomes 1.
    """
    signal = pq_signal if transfer == PQ else hlg_signal
    nits = [WHITE * linear(level) for level in (0, 40, 128, 200)] + [WHITE, 1000]
    path = hdr_video(tmp_path / "a.mkv", [[signal(n)] * 3 for n in nits], transfer)
    with caplog.at_level(logging.INFO):
        shown = stripes(path)
    p, j = 1000 / WHITE, 0.75
    a, b = -(j**2) * (p - 1) / (j**2 - 2 * j + p), (j**2 - 2 * j * p + p) / (p - 1)
    white = (b + j) ** 2 / (b - a) * (1 + a) / (1 + b)
    assert white == pytest.approx(linear(240.5), abs=0.004)
    expected = [0, 40, 128, 200, 240.5, 255]
    assert np.abs(np.array(shown) - np.array(expected)[:, None]).max() <= 1.5
    assert f"a.mkv is HDR ({'PQ' if transfer == PQ else 'HLG'}): it is brought to SDR" in (
        caplog.text
    )


def test_hdr_colour_comes_back_as_it_was(tmp_path: Path) -> None:
    """(200, 60, 40) of sRGB as light of BT.2020 in PQ."""
    light = TO_BT2020 @ [linear(level) for level in (200, 60, 40)]
    signals = [[pq_signal(WHITE * part) for part in light]]
    (shown,) = stripes(hdr_video(tmp_path / "a.mkv", signals, PQ))
    assert shown == pytest.approx([200, 60, 40], abs=2)


def test_hdr_that_cannot_be_brought_to_sdr_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the filters the signal is what is shown: 0.5 is 127.5."""
    path = hdr_video(tmp_path / "a.mkv", [[0.5, 0.5, 0.5]], PQ)
    monkeypatch.setattr(looks, "has_tone_mapping", lambda: False)
    assert stripes(path)[0] == pytest.approx([127.5] * 3, abs=1.5)
    assert "a.mkv is HDR (PQ), and this ffmpeg has no filters to bring it to SDR" in caplog.text
    assert caplog.records[-1].levelno == logging.WARNING


def test_wide_colours_without_a_transfer_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be HDR or not; and what is marked as SDR is."""
    stripes(hdr_video(tmp_path / "a.mkv", [[0.5, 0.5, 0.5]], "unknown"))
    assert "a.mkv has wide colours (BT.2020) but does not say how bright they are" in caplog.text
    caplog.clear()
    stripes(hdr_video(tmp_path / "b.mkv", [[0.5, 0.5, 0.5]], "bt709"))
    assert caplog.text == ""


ALPHA = {
    "vp9.webm": ["-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-crf", "4", "-b:v", "0"],
    "vp8.webm": ["-c:v", "libvpx", "-pix_fmt", "yuva420p", "-auto-alt-ref", "0", "-b:v", "1M"],
    "prores.mov": ["-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le"],
    "png.mov": ["-c:v", "png"],
    "animation.mov": ["-c:v", "qtrle"],
    "ffv1.mkv": ["-c:v", "ffv1"],
}


@pytest.mark.parametrize("name", ALPHA)
def test_what_is_transparent_in_a_video_shows_white(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Left half (200, 60, 40), right half a hidden green."""
    frames = np.zeros((4, 32, 48, 4), np.uint8)
    frames[:, :, :24] = 200, 60, 40, 255
    frames[:, :, 24:] = 0, 255, 0, 0
    path = encode(tmp_path / name, frames.tobytes(), "rgba", (48, 32), 10, ALPHA[name])
    with caplog.at_level(logging.INFO):
        frames = read(video_source(path), [1, 2])
    shown = levels(frames[0])
    assert shown[16, 8].tolist() == pytest.approx([200, 60, 40], abs=6)
    assert shown[16, 40].tolist() == pytest.approx([255] * 3, abs=1)
    assert caplog.text.count(f"{name} is transparent in places") == 1
