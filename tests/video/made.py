"""Small files for tests, made on the spot.

A frame's number is painted into it as a grey level, so that a test can say which frames it got.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from motion_core.video.ffmpeg import run_ffmpeg

# Lossless codecs that keep the grey levels apart, one for each container.
LOSSLESS = {
    ".mp4": ["-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv444p"],
    ".mov": ["-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv444p"],
    ".mkv": ["-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv444p"],
    ".avi": ["-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv444p"],
    ".webm": ["-c:v", "libvpx-vp9", "-lossless", "1", "-pix_fmt", "yuv444p"],
    ".gif": ["-vf", "split[a][b];[a]palettegen[p];[b][p]paletteuse"],
}


def grey_frames(count: int, height: int = 16, width: int = 24) -> Tensor:
    """(F, H, W, 3) uint8; frame k is of level 4·k."""
    levels = 4 * torch.arange(count, dtype=torch.uint8)
    return levels[:, None, None, None].expand(count, height, width, 3).contiguous()


def numbers(frames: Tensor) -> list[int]:
    """Which frames of `grey_frames` these are, from the mean level (0 … 255)."""
    levels = (frames.mean(dim=(1, 2, 3)) + 1) * 127.5
    return [round(level / 4) for level in levels.tolist()]


def make_video(
    path: Path, count: int = 60, fps: float = 30, extra: list[str] | None = None
) -> Path:
    """The grey frames in the lossless codec that goes with the suffix."""
    frames = grey_frames(count)
    codec = [*LOSSLESS[path.suffix], *(extra or [])]
    height, width = frames.shape[1:3]
    return encode(path, frames.numpy().tobytes(), "rgb24", (width, height), fps, codec)


def encode(
    path: Path, data: bytes, pixels: str, size: tuple[int, int], fps: float, codec: list[str]
) -> Path:
    """Raw pictures of (width, height) through ffmpeg. pixels: ffmpeg's name of their format."""
    shape = f"{size[0]}x{size[1]}"
    raw = ["-f", "rawvideo", "-pix_fmt", pixels, "-s", shape, "-r", str(fps), "-i", "-"]
    return converted(path, [*raw, *codec], data)


def converted(path: Path, arguments: list[str], data: bytes = b"") -> Path:
    """What ffmpeg makes with these arguments."""
    done = run_ffmpeg([*arguments, "-y", str(path)], stdin=data)
    assert done.status == 0, done.errors
    return path
