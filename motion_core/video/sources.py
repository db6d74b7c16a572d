"""Where frames come from: a video file, image files or a tensor, each as a `FrameSource`.

Output: the frames' times, known without decoding, and single frames (3, H, W) float32 in [-1, 1] on
demand, so that a window of a long video costs no more memory than the window.
"""

from __future__ import annotations

import logging
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean, median
from typing import IO

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..errors import ClipError
from .ffmpeg import LOCAL_INPUT, complaint, ffmpeg_output, run_ffmpeg

logger = logging.getLogger(__name__)

# Image folders have no rate of their own; 8 frames a second is the rate of the papers' models.
DEFAULT_FPS = 8.0
_DISCARD = 0x4  # ffmpeg's packet flag: cut away by an edit list, decoded but never shown
_NO_TIME = -(2**63)
_CUT_OFF = re.compile("partial file|ended prematurely", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class FrameSource:
    """A sequence of frames that can be read in part.

    name: for messages. times: seconds of each frame since the first one, ascending. read: yields
    the frames at ascending indices (the same one twice if asked twice) as (3, H, W) float32 in
    [-1, 1].
    """

    name: str
    times: Sequence[float]
    read: Callable[[Sequence[int]], Iterator[Tensor]]

    @property
    def interval(self) -> float:
        """Seconds from one frame to the next: the mean of the steps within half of their median.

        For a constant rate that is the exact rate, also where a container rounds its times (33, 67,
        100 ms); for a variable one it is the usual step, unmoved by pauses.
        """
        if len(self.times) < 2:
            return 1 / DEFAULT_FPS
        steps = [after - before for before, after in zip(self.times, self.times[1:], strict=False)]
        middle = median(steps)
        return fmean(step for step in steps if abs(step - middle) <= middle / 2)

    def nearest(self, time: float) -> int:
        """Index of the frame whose time is nearest, the earlier one of two equally near."""
        after = bisect_left(self.times, time)
        if after == 0:
            return 0
        if after == len(self.times):
            return after - 1
        nearer = self.times[after] - time < time - self.times[after - 1] - 1e-6
        return after if nearer else after - 1


def video_source(path: Path, start: float = 0.0, duration: float = 0.0) -> FrameSource:
    """The first video stream of a file, rotated as its metadata says.

    start, duration: seconds of it to take, up to its end where the duration is 0; a frame that is
    shown a part of a tick of the file's clock before `start` belongs to it, as in ComfyUI. Raises
    ClipError if ffmpeg cannot read the file, if it is cut off, or if it holds no video.
    """
    listing = run_ffmpeg(
        [
            *LOCAL_INPUT,
            "-i",
            str(path.absolute()),
            "-map",
            "0:v:0",
            "-c",
            "copy",
            "-f",
            "framecrc",
            "-",
        ]
    )
    if listing.status != 0:
        raise ClipError(
            f"{path.name} cannot be read as a video: {complaint(listing.errors)}. It may be cut "
            "off, or be another kind of file; download it again or convert it to mp4."
        )
    times, tick = _shown_times(listing.output.decode("ascii", "replace"))
    if cut_off := _CUT_OFF.search(listing.errors):
        raise ClipError(
            f"{path.name} is cut off ({cut_off.group()}): only {len(times)} of the frames listed "
            "in its header are there. Download it again, or re-encode the rest to a new file."
        )
    if not times or len(set(times)) < len(times):
        raise ClipError(
            f"{path.name} has {'frames without times' if times else 'no video frames'}. Convert "
            "it to mp4, or use another file."
        )

    first, end = _between(times, tick, start, duration)
    if first >= end:
        until = f"{start + duration:g}" if duration else "the end"
        raise ClipError(
            f"{path.name} has no frames from second {start:g} to {until}; it ends at second "
            f"{times[-1]:.2f}. Trim it less."
        )

    def read(indices: Sequence[int]) -> Iterator[Tensor]:
        return _decode(path, times, [first + index for index in indices])

    shown = [time - times[first] for time in times[first:end]]
    return FrameSource(name=path.name, times=shown, read=read)


def image_source(paths: Sequence[Path], name: str, fps: float = DEFAULT_FPS) -> FrameSource:
    """Image files as the frames of one sequence, in the order given, at `fps` frames a second."""

    def read(indices: Sequence[int]) -> Iterator[Tensor]:
        return (read_image(paths[index]) for index in indices)

    return FrameSource(name=name, times=[k / fps for k in range(len(paths))], read=read)


def tensor_source(frames: Tensor, name: str, fps: float) -> FrameSource:
    """Frames in memory, (F, H, W, 3), uint8 or floating point in 0..1. Raises ClipError for
    anything else.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise ClipError(
            f"{name}: frames have shape {tuple(frames.shape)}; expected (F, H, W, 3), RGB without "
            "alpha."
        )
    if frames.dtype != torch.uint8 and not frames.is_floating_point():
        raise ClipError(
            f"{name}: frames are {frames.dtype}; expected uint8, or floats from 0 to 1."
        )
    if frames.is_floating_point():
        low, high = frames.min().item(), frames.max().item()
        if not (low >= -0.01 and high <= 1.01):  # written so that NaN fails too
            raise ClipError(
                f"{name}: values range from {low:.3g} to {high:.3g}; expected floats from 0 to 1."
            )

    def read(indices: Sequence[int]) -> Iterator[Tensor]:
        for frame in (frames[index] for index in indices):
            pixels = frame.permute(2, 0, 1).to("cpu", torch.float32)
            whole = frame.dtype == torch.uint8
            yield pixels / 127.5 - 1 if whole else pixels.clamp(0, 1) * 2 - 1

    return FrameSource(name=name, times=[k / fps for k in range(len(frames))], read=read)


def read_image(path: Path) -> Tensor:
    """One image file as (3, H, W) float32 in [-1, 1], turned as its EXIF says. Raises ClipError."""
    try:
        with Image.open(path) as image:
            pixels = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ClipError(
            f"{path.name} cannot be read as an image ({error}). Download it again, or convert it "
            "to PNG."
        ) from error
    return _to_pixels(torch.from_numpy(pixels))


def _to_pixels(image: Tensor) -> Tensor:
    return image.permute(2, 0, 1).to(torch.float32) / 127.5 - 1


def _between(
    times: Sequence[float], tick: Fraction, start: float, duration: float
) -> tuple[int, int]:
    """The first of the frames from `start` on, and the one after the last before the end."""
    half = float(tick) / 2  # times are whole ticks, but for the rounding of floats
    begin, end = (float(int(seconds / tick) * tick) for seconds in (start, start + duration))
    return (
        bisect_left(times, begin - half) if start else 0,
        bisect_left(times, end - half) if duration else len(times),
    )


def _shown_times(listing: str) -> tuple[list[float], Fraction]:
    """Times in seconds, in the order of showing, from ffmpeg's framecrc listing of the packets; and
    the tick of the file's clock.

    A line reads "stream, dts, pts, duration, size, checksum[, F=flags]". Where frames are
    reordered, AVI has no pts: the decoding times stand in, whose spacing is the same.
    """
    base, rows = Fraction(1), []
    for line in listing.splitlines():
        if line.startswith("#tb"):
            base = Fraction(line.split()[-1])
        elif line and not line.startswith("#"):
            rows.append([field.strip() for field in line.split(",")])
    rows = [row for row in rows if not any(_is_discarded(field) for field in row[6:])]
    column = 1 if any(int(row[2]) == _NO_TIME for row in rows) else 2
    return sorted(float(int(row[column]) * base) for row in rows), base


def _is_discarded(field: str) -> bool:
    return field.startswith("F=") and bool(int(field[2:], 16) & _DISCARD)


def _decode(path: Path, times: Sequence[float], indices: Sequence[int]) -> Iterator[Tensor]:
    """Decodes from the first to the last index and yields the frames asked for.

    ffmpeg seeks to half a frame before the first one, which it does exactly, except in AVI: that
    has decoding times only, and is read from its start.
    """
    first, last = indices[0], indices[-1]
    seek: list[str] = []
    if path.suffix.lower() == ".avi":
        first = 0
    elif first > 0:
        seek = ["-ss", f"{(times[first - 1] + times[first]) / 2:.6f}"]
    # fmt: off
    arguments = [
        *seek, *LOCAL_INPUT, "-i", str(path.absolute()), "-map", "0:v:0",
        "-fps_mode", "passthrough", "-frames:v", str(last - first + 1),
        "-sws_flags", "bicubic+accurate_rnd+full_chroma_int",
        "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-",
    ]
    # fmt: on
    with ffmpeg_output(arguments) as (stream, errors):
        for number in range(first, last + 1):
            image = _read_ppm(stream)
            if image is None:
                raise ClipError(_damage(path, number, last, errors))
            yield from (_to_pixels(image) for index in indices if index == number)
        errors.seek(0)
        if said := errors.read().decode("utf-8", "replace"):
            logger.warning("%s: some frames may be damaged: %s", path.name, complaint(said))


def _read_ppm(stream: IO[bytes]) -> Tensor | None:
    """The next image of a stream of binary PPMs as (H, W, 3) uint8, None at the end or amid an
    image.
    """
    header = [stream.readline() for _ in range(3)]
    if header[0] != b"P6\n" or not header[2]:
        return None
    width, height = map(int, header[1].split())
    data = stream.read(width * height * 3)
    if len(data) < width * height * 3:
        return None
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(height, width, 3)


def _damage(path: Path, number: int, last: int, errors: IO[bytes]) -> str:
    errors.seek(0)
    said = complaint(errors.read().decode("utf-8", "replace"))
    return (
        f"{path.name} is damaged: frame {number} cannot be decoded, but frames up to {last} are "
        f"needed ({said}). Choose an earlier window, or re-encode the file."
    )
