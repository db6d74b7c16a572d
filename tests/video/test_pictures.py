"""pictures.py: animated pictures, transparency, deep colours."""

from __future__ import annotations

import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, features

from motion_core.errors import ClipError
from motion_core.video.clips import clips_from_frames, load_clips, load_image_clip
from motion_core.video.pictures import animation_source, read_image
from motion_core.video.settings import ClipSettings

from .made import grey_frames, numbers

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def animation(path: Path, delays: list[int], **options: object) -> Path:
    frames = [Image.fromarray(frame.numpy()) for frame in grey_frames(len(delays))]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=delays, **options)
    return path


def levels(pixels: torch.Tensor) -> list[list[int]]:
    """Of the first row of (3, H, W): R, G, B of each pixel, 0 … 255."""
    return ((pixels[:, 0] + 1) * 127.5).round().int().T.tolist()


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.apng"])
def test_an_animated_picture_is_a_video(tmp_path: Path, name: str) -> None:
    """20 frames of 67 ms, as ComfyUI saves 15 a second; amid it and from its start the same."""
    options = {"lossless": True} if name == "a.webp" else {"format": "PNG"}
    path = animation(tmp_path / name, [67] * 20, **options)
    (clip,) = load_clips(path, ClipSettings(frames=20), "grey")
    assert numbers(clip.frames) == list(range(20))
    assert clip.fps == pytest.approx(1 / 0.067)
    late = ClipSettings(frames=3, stride=2, start_seconds=0.5)  # 0.5 / 0.067 = 7.46
    (part,) = load_clips(path, late, "grey")
    assert torch.equal(part.frames, clip.frames[7:12:2])
    first, last = load_clips(path, ClipSettings(frames=16, windows=2), "grey")
    assert (numbers(first.frames)[0], numbers(last.frames)[0]) == (0, 4)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    animation(path, [100] * 4, quality=100)
    (clip,) = load_clips(path, ClipSettings(frames=4), "grey")
    assert numbers(clip.frames) == [0, 1, 2, 3]
    assert clip.fps == pytest.approx(10)
    Image.new("RGB", (24, 16), (200, 60, 40)).save(tmp_path / "still.avif", quality=100)
    (still,) = load_clips(tmp_path / "still.avif", ClipSettings(), "red")
    assert still.is_image
    assert np.abs(np.array(levels(still.frames[0])[0]) - (200, 60, 40)).max() <= 3


def test_delays_in_turn(tmp_path: Path) -> None:
    """20 and 100 ms: the times are 0, 0.02, 0.12, 0.14. Their steps 0.02, 0.1, 0.02 have the median
    0.02, and so the rate is 50 a second. Of two steps the median is 0.06, near none: the mean is
    0.06 as well.
    """
    path = animation(tmp_path / "a.webp", [20, 100, 20, 100], lossless=True)
    assert animation_source(path).times == pytest.approx([0, 0.02, 0.12, 0.14])
    assert animation_source(path).interval == pytest.approx(0.02)
    short = animation(tmp_path / "b.gif", [20, 100, 100])
    (clip,) = load_clips(short, ClipSettings(frames=3), "grey")
    assert clip.fps == pytest.approx(1 / 0.06)
    assert numbers(clip.frames) == [0, 1, 2]


def test_delays_that_no_browser_keeps(tmp_path: Path) -> None:
    """Up to 10 ms are shown for 100 ms, 11 ms as they are."""
    path = animation(tmp_path / "a.webp", [0, 10, 11, 50], lossless=True)
    assert animation_source(path).times == pytest.approx([0, 0.1, 0.2, 0.211])


def test_the_first_picture_of_an_apng_need_not_be_part_of_it(tmp_path: Path) -> None:
    """It is for programs that show no other."""
    path = animation(tmp_path / "a.png", [100] * 4, default_image=True)
    (clip,) = load_clips(path, ClipSettings(frames=3), "grey")
    assert numbers(clip.frames) == [1, 2, 3]


def test_an_animation_cut_off(tmp_path: Path) -> None:
    for name in ("a.webp", "a.png"):
        whole = animation(tmp_path / name, [100] * 8).read_bytes()
        (tmp_path / f"cut_{name}").write_bytes(whole[: len(whole) * 2 // 3])
        with pytest.raises(ClipError, match=f"cut_{name} cannot be read as an image"):
            load_clips(tmp_path / f"cut_{name}", ClipSettings(frames=8), "x")


def test_one_image_of_an_animation_is_not_taken_by_chance(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.webp", [100] * 4)
    with pytest.raises(ClipError, match=r"a.webp is an animated picture; a single image is needed"):
        load_image_clip(path, ClipSettings(), "x")


RED, CLEAR, HALF = (200, 60, 40, 255), (0, 255, 0, 0), (200, 60, 40, 51)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_what_is_transparent_shows_white(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The hidden green is not learned. An alpha of 51 is a fifth: 0.2·200 + 0.8·255 = 244,
    0.2·60 + 204 = 216, 0.2·40 + 204 = 212.
    """
    pixels = np.array([[RED, CLEAR, HALF] * 8] * 16, np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}", lossless=True, exact=True)
    with caplog.at_level(logging.INFO):
        image = read_image(tmp_path / f"a{suffix}")
    assert levels(image)[:3] == [[200, 60, 40], [255, 255, 255], [244, 216, 212]]
    assert f"a{suffix} is transparent in places; what shows through is taken to be white" in (
        caplog.text
    )


def test_other_kinds_of_transparency(tmp_path: Path) -> None:
    """Grey with alpha, a palette with a clear entry, and one clear level of RGB."""
    Image.new("LA", (8, 8), (90, 0)).save(tmp_path / "la.png")
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([9, 9, 9, 0, 255, 0])
    palette.save(tmp_path / "p.png", transparency=1)
    Image.new("RGB", (8, 8), (0, 255, 0)).save(tmp_path / "rgb.png", transparency=(0, 255, 0))
    for name in ("la", "p", "rgb"):
        assert levels(read_image(tmp_path / f"{name}.png"))[0] == [255, 255, 255]


def test_a_folder_says_once_that_it_is_transparent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        Image.new("RGBA", (8, 8), CLEAR).save(tmp_path / f"{number}.png")
    with caplog.at_level(logging.INFO):
        (clip,) = load_clips(tmp_path, ClipSettings(frames=3), "nothing")
    assert (clip.frames == 1).all()
    assert caplog.text.count("transparent") == 1


def test_frames_of_an_animation_are_composited_too(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (24, 16), (0, 255, 0, alpha)) for alpha in (0, 255)]
    for name in ("a.webp", "a.png", "a.gif"):
        path = tmp_path / name
        frames[0].save(
            path, save_all=True, append_images=frames[1:], duration=100, lossless=True, disposal=2
        )
        (clip,) = load_clips(path, ClipSettings(frames=2), "x")
        assert levels(clip.frames[0])[0] == [255, 255, 255]
        assert np.abs(np.array(levels(clip.frames[1])[0]) - (0, 255, 0)).max() <= 4


def test_frames_in_memory_with_alpha() -> None:
    """0.25·0 + 0.75·1 = 0.75, which is 0.5 in [-1, 1]; in bytes 51 / 255 is a fifth, 0.6."""
    frames = torch.zeros(2, 8, 8, 4)
    frames[..., 3] = 0.25
    (clip,) = clips_from_frames(frames, 8, "x", ClipSettings(frames=2))
    torch.testing.assert_close(clip.frames, torch.full((2, 3, 8, 8), 0.5))
    whole = torch.zeros(2, 8, 8, 4, dtype=torch.uint8)
    whole[..., 3] = 51
    (clip,) = clips_from_frames(whole, 8, "x", ClipSettings(frames=2))
    torch.testing.assert_close(clip.frames, torch.full((2, 3, 8, 8), 0.6))


def test_sixteen_bits_of_grey(tmp_path: Path) -> None:
    """65535 is white: v / 32767.5 − 1. Pillow's own conversion cuts everything off at 255."""
    row = np.array([0, 16384, 32896, 65535] * 2, np.uint16)
    Image.fromarray(np.tile(row, (8, 1))).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert levels(image)[:4] == [[0] * 3, [64] * 3, [128] * 3, [255] * 3]
    assert image[0, 0, 1].item() == pytest.approx(16384 / 32767.5 - 1, abs=1e-6)


def test_sixteen_bits_of_colour_and_of_a_clear_level(tmp_path: Path) -> None:
    """Written by hand, as Pillow writes none: RGB of which the high byte counts, and grey of which
    the level 1000 is clear.
    """
    colour = struct.pack(">3H", 200 * 257, 60 * 257, 40 * 257)
    (tmp_path / "rgb.png").write_bytes(png(b"\0" + colour * 8, colour_type=2))
    assert levels(read_image(tmp_path / "rgb.png"))[0] == [200, 60, 40]
    grey = struct.pack(">2H", 1000, 32896) * 4
    clear = chunk(b"tRNS", struct.pack(">H", 1000))
    (tmp_path / "grey.png").write_bytes(png(b"\0" + grey, colour_type=0, extra=clear))
    assert levels(read_image(tmp_path / "grey.png"))[:2] == [[255] * 3, [128] * 3]


def png(row: bytes, colour_type: int, extra: bytes = b"") -> bytes:
    """8 pixels by 8, each row the same, 16 bits a channel."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, colour_type, 0, 0, 0))
    return SIGNATURE + header + extra + chunk(b"IDAT", zlib.compress(row * 8)) + chunk(b"IEND", b"")


def chunk(name: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + check
