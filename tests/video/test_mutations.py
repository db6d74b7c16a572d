"""Files that are renamed, wrongly typed, cut off or damaged: what cannot be read ends in a
MotionError that names the file, and never in anything else.

A few seconds by default; `MOTION_FUZZ_SECONDS=600` goes on for so long, each time with other
mutations.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from motion_core.errors import MotionError
from motion_core.video.captions import caption_of
from motion_core.video.clips import load_clips, load_image_clips
from motion_core.video.settings import ClipSettings

from .made import LOSSLESS, encode, grey_frames, make_video

SECONDS = float(os.environ.get("MOTION_FUZZ_SECONDS", "0"))
AT_LEAST = 40
"""Mutations, where no time is given."""
SETTINGS = ClipSettings(frames=2)
SUFFIXES = (".mp4", ".mkv", ".ts", ".avi", ".gif", ".h264", ".webp", ".png", ".jpg", ".avif", "")

Mutation = Callable[[bytes, random.Random], bytes]


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def without_its_beginning(data: bytes, chance: random.Random) -> bytes:
    return data[chance.randrange(len(data)) :]


def flipped(data: bytes, chance: random.Random) -> bytes:
    """Up to 20 bytes are others."""
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 20)):
        changed[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(changed)


def overwritten(data: bytes, chance: random.Random) -> bytes:
    """A piece is of another place, or zeros."""
    begin, length = chance.randrange(len(data)), chance.randrange(1, 200)
    origin = chance.randrange(len(data))
    piece = data[origin : origin + length] if chance.random() < 0.5 else bytes(length)
    return data[:begin] + piece + data[begin + len(piece) :]


def damaged_header(data: bytes, chance: random.Random) -> bytes:
    """One of the first 64 bytes, where sizes and types stand."""
    changed = bytearray(data)
    changed[chance.randrange(min(64, len(data)))] = chance.randrange(256)
    return bytes(changed)


def renamed(data: bytes, chance: random.Random) -> bytes:
    return data


MUTATIONS: tuple[Mutation, ...] = (
    cut,
    without_its_beginning,
    flipped,
    overwritten,
    damaged_header,
    renamed,
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """A small file of each kind."""
    folder = tmp_path_factory.mktemp("originals")
    paths = [make_video(folder / f"video{suffix}", count=6) for suffix in LOSSLESS]
    raw = grey_frames(6, 32, 48).numpy().tobytes()
    h264 = ["-c:v", "libx264", "-qp", "2"]
    for name, codec in (
        ("a.ts", h264),
        ("a.h264", h264),
        ("a.mpg", ["-c:v", "mpeg2video"]),
        ("a.y4m", ["-pix_fmt", "yuv420p"]),
    ):
        paths.append(encode(folder / name, raw, "rgb24", (48, 32), 25, codec))
    pictures = [Image.fromarray(frame.numpy()) for frame in grey_frames(4)]
    for name in ("moving.webp", "moving.png"):
        pictures[0].save(folder / name, save_all=True, append_images=pictures[1:])
        paths.append(folder / name)
    for name in ("still.png", "still.webp", "still.jpg", "still.bmp", "still.gif"):
        pictures[1].save(folder / name)
        paths.append(folder / name)
    Image.new("RGBA", (24, 16), (9, 9, 9, 9)).save(folder / "clear.png")
    Image.new("I;16", (24, 16), 999).save(folder / "deep.png")
    page = b"<!doctype html><html><head><title>Sign in</title></head><body></body></html>"
    return [path.read_bytes() for path in [*paths, folder / "clear.png", folder / "deep.png"]] + [
        page,
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "eine Bildunterschrift mit Umlauten: äöü".encode("utf-16"),
    ]


def require_error_or_clips(path: Path) -> None:
    for read in (
        lambda: load_clips(path, SETTINGS, "x"),
        lambda: load_image_clips(path.parent, SETTINGS, "x"),
        lambda: caption_of(path),
    ):
        try:
            read()
        except MotionError as error:
            said = str(error)
            assert "\n" not in said and said.endswith("."), said
            assert path.stem in said or path.parent.name in said, said


def test_mutated_files_end_in_clear_errors(tmp_path: Path, originals: list[bytes]) -> None:
    """The same mutations each time, unless a time is given; the seed is told where one fails."""
    begin = time.monotonic()
    number = 0 if not SECONDS else int(time.time())
    last = number + AT_LEAST
    while number < last or time.monotonic() - begin < SECONDS:
        chance = random.Random(number)
        data = chance.choice(MUTATIONS)(chance.choice(originals), chance)
        folder = tmp_path / f"seed-{number}"
        folder.mkdir()
        path = folder / f"file-{number}{chance.choice(SUFFIXES)}"
        path.write_bytes(data)
        path.with_suffix(".txt").write_bytes(chance.choice(MUTATIONS)(originals[-1], chance))
        require_error_or_clips(path)
        number += 1
