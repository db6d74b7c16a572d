"""Where frames come from: a video file, an animated picture or a tensor, each as a `FrameSource`.

Output: the frames' times, known without decoding, and single frames (3, H, W) float32 in [-1, 1] on
demand, so that a window of a long video costs no more memory than the window.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ClipError
from .decoding import decode
from .frame_source import FrameSource, OnProgress, ignore
from .kinds import kind_of
from .looks import say_looks
from .pictures import animation_source, on_background, say_transparent
from .streams import probe


def file_source(path: Path) -> FrameSource:
    """A video or an animated picture. Raises ClipError if it can be read as neither."""
    return animation_source(path) if kind_of(path) == "animation" else video_source(path)


def video_source(path: Path, start: float = 0.0, duration: float = 0.0) -> FrameSource:
    """The first video stream of a file, upright, in square pixels and SDR, without combs.

    start, duration: seconds of it to take, up to its end where the duration is 0; a frame that is
    shown a part of a tick of the file's clock before `start` belongs to it, as in ComfyUI. Raises
    ClipError if ffmpeg cannot read the file, if it is cut off, or if it holds no video.
    """
    stream = probe(path)
    times = stream.times
    first, end = _between(times, stream.tick, start, duration)
    if first >= end:
        until = f"{start + duration:g}" if duration else "the end"
        raise ClipError(
            f"{path.name} has no frames from second {start:g} to {until}; it ends at second "
            f"{times[-1]:.2f}. Trim it less."
        )
    say_looks(stream.header, path.name)

    def read(indices: Sequence[int], on_progress: OnProgress = ignore) -> Iterator[Tensor]:
        return decode(stream, [first + index for index in indices], on_progress)

    shown = [time - times[first] for time in times[first:end]]
    return FrameSource(name=path.name, times=shown, read=read, size=stream.header.size)


def tensor_source(frames: Tensor, name: str, fps: float) -> FrameSource:
    """Frames in memory, (F, H, W, 3), or 4 with alpha; uint8 or floating point in 0..1. Raises
    ClipError for anything else.
    """
    if frames.ndim != 4 or frames.shape[-1] not in (3, 4) or 0 in frames.shape:
        raise ClipError(
            f"{name}: frames have shape {tuple(frames.shape)}; expected (F, H, W, 3), RGB, or 4 "
            "with alpha."
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

    def read(indices: Sequence[int], on_progress: OnProgress = ignore) -> Iterator[Tensor]:
        said = False
        for number, frame in enumerate(frames[index] for index in indices):
            on_progress(number / len(indices))
            channels = frame.permute(2, 0, 1).to("cpu", torch.float32)
            whole = frame.dtype == torch.uint8
            pixels = channels / 127.5 - 1 if whole else channels.clamp(0, 1) * 2 - 1
            alpha = (pixels[3:] + 1) / 2
            said = said or (bool((alpha < 1).any()) and say_transparent(name))
            yield on_background(pixels[:3], alpha[0]) if len(alpha) else pixels

    height, width = frames.shape[1:3]
    times = [k / fps for k in range(len(frames))]
    return FrameSource(name=name, times=times, read=read, size=(height, width))


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
