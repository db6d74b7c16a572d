"""Picture files and animated pictures (WebP, APNG, AVIF) as frames.

Output: (3, H, W) float32 in [-1, 1]. What is transparent shows `BACKGROUND`, and never the colours
that editors leave hidden under it. Pictures of 16 bits keep all of them.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..errors import ClipError
from .frame_source import DEFAULT_FPS, FrameSource, OnProgress, ignore
from .kinds import UNREADABLE, kind_of, mistaken_for, not_media

logger = logging.getLogger(__name__)

BACKGROUND = 1.0
"""White, as on a page; in [-1, 1]."""
_DEFAULT_DELAY = 0.1
_SHORTEST_DELAY = 0.011
"""Seconds: browsers show frames of less than this for `_DEFAULT_DELAY`."""
_SIXTEEN_BITS = 65535
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
"""EXIF's tag, and its values by which width and height change places."""


def image_source(paths: Sequence[Path], name: str, fps: float = DEFAULT_FPS) -> FrameSource:
    """Image files as the frames of one sequence, in the order given, at `fps` frames a second."""

    def read(indices: Sequence[int], on_progress: OnProgress = ignore) -> Iterator[Tensor]:
        said = False
        for number, index in enumerate(indices):
            on_progress(number / len(indices))
            pixels, transparent = _read(paths[index])
            said = said or (transparent and say_transparent(name))
            yield pixels

    times = [k / fps for k in range(len(paths))]
    return FrameSource(name=name, times=times, read=read, size=_size(paths[0]) if paths else None)


def read_image(path: Path) -> Tensor:
    """One image file as (3, H, W) float32 in [-1, 1], turned as its EXIF says. Raises ClipError."""
    pixels, transparent = _read(path)
    if transparent:
        say_transparent(path.name)
    return pixels


def require_still(path: Path) -> None:
    """Raises ClipError for what moves."""
    kind = kind_of(path)
    if kind != "image" and mistaken_for(path) is None:
        what = "an animated picture" if kind == "animation" else "a video"
        raise ClipError(
            f"{path.name} is {what}; a single image is needed. Give it as a clip, or save one of "
            "its frames as PNG."
        )


def animation_source(path: Path) -> FrameSource:
    """An animated picture as a video. Raises ClipError if it cannot be read.

    Frames that are to be shown for less than 11 ms are shown for 100 ms, as in browsers.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            # Of an APNG, the picture for programs that show no other need not be part of it.
            skipped = 1 if getattr(image, "default_image", False) else 0
            delays = _delays(path, image)
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    starts, now = [], 0.0
    for delay in delays:
        starts.append(now)
        now += delay if delay >= _SHORTEST_DELAY else _DEFAULT_DELAY

    def read(indices: Sequence[int], on_progress: OnProgress = ignore) -> Iterator[Tensor]:
        said = False
        try:
            with Image.open(path) as image:
                for number, index in enumerate(indices):
                    on_progress(number / len(indices))
                    image.seek(index + skipped)
                    pixels, transparent = _pixels(image)
                    said = said or (transparent and say_transparent(path.name))
                    yield pixels
        except UNREADABLE as error:
            raise _unreadable(path, error) from error

    return FrameSource(name=path.name, times=starts, read=read, size=(height, width))


def on_background(pixels: Tensor, alpha: Tensor) -> Tensor:
    """pixels: (…, 3, H, W) in [-1, 1], not premultiplied. alpha: 0 … 1, of a shape that fits."""
    return pixels * alpha + BACKGROUND * (1 - alpha)


def say_transparent(name: str) -> bool:
    """Into the log, for what is learned depends on it. Always true: it is said."""
    logger.info("%s is transparent in places; what shows through is taken to be white.", name)
    return True


def _read(path: Path) -> tuple[Tensor, bool]:
    try:
        with Image.open(path) as image:
            return _pixels(ImageOps.exif_transpose(image))
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def _pixels(image: Image.Image) -> tuple[Tensor, bool]:
    """(3, H, W) float32 in [-1, 1] of the picture as it is shown; and whether something of it is
    transparent.
    """
    if image.mode.startswith("I"):
        return _deep_pixels(image)
    if not image.has_transparency_data:
        return _channels(image.convert("RGB")), False
    rgba = _channels(image.convert("RGBA"))
    alpha = (rgba[3] + 1) / 2
    return on_background(rgba[:3], alpha), bool((alpha < 1).any())


def _deep_pixels(image: Image.Image) -> tuple[Tensor, bool]:
    """Grey of 16 bits, which Pillow would cut off at 255; PNG may declare one level transparent."""
    levels = torch.from_numpy(np.array(image).astype(np.float32))
    pixels = (levels / (_SIXTEEN_BITS / 2) - 1).clamp(-1, 1).expand(3, -1, -1)
    clear = levels == image.info.get("transparency", -1)
    return on_background(pixels, (~clear).float()), bool(clear.any())


def _channels(image: Image.Image) -> Tensor:
    """(C, H, W) float32 in [-1, 1] of an RGB or RGBA picture."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).to(torch.float32) / 127.5 - 1


def _delays(path: Path, image: Image.Image) -> list[float]:
    """Seconds for which each frame is shown; from the file's chunks where they tell."""
    if image.format == "WEBP":
        return [_webp_delay(data) for name, data in _riff_chunks(path) if name == b"ANMF"]
    if image.format == "PNG":
        return [_png_delay(data) for name, data in _png_chunks(path) if name == b"fcTL"]
    delays = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()
        delays.append(float(image.info.get("duration", 0)) / 1000)
    return delays


def _webp_delay(data: bytes) -> float:
    """Bytes 12 to 14 of a frame: milliseconds (WebP Container Specification, ANMF)."""
    return int.from_bytes(data[12:15], "little") / 1000


def _png_delay(data: bytes) -> float:
    """Bytes 20 to 23 of a frame's header: a fraction of a second, in hundredths where the
    denominator is 0 (APNG Specification, fcTL).
    """
    above, below = struct.unpack(">HH", data[20:24])
    return above / (below or 100)


def _riff_chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """(name, first 16 bytes) of each chunk within RIFF's own."""
    with path.open("rb") as file:
        file.seek(12)
        while len(start := file.read(8)) == 8:
            length = int.from_bytes(start[4:], "little")
            data = file.read(min(16, length))
            yield start[:4], data
            file.seek(length + length % 2 - len(data), 1)


def _png_chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """(name, first 26 bytes) of each chunk."""
    with path.open("rb") as file:
        file.seek(8)
        while len(start := file.read(8)) == 8:
            length = int.from_bytes(start[:4], "big")
            data = file.read(min(26, length))
            yield start[4:], data
            file.seek(length + 4 - len(data), 1)


def _size(path: Path) -> tuple[int, int] | None:
    """(height, width) without decoding; None for what cannot be read, which `read` will say."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION, 1) in _TURNED
    except UNREADABLE:
        return None
    return (width, height) if turned else (height, width)


def _unreadable(path: Path, error: BaseException) -> ClipError:
    if what := mistaken_for(path):
        return not_media(path, what, "an image")
    return ClipError(
        f"{path.name} cannot be read as an image ({error}). Download it again, or convert it to "
        "PNG."
    )
