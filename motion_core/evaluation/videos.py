"""Videos to be evaluated: files, folders of videos and folders of images, at their own size.

Input: paths. Output: `Video`s, frames (F, 3, H, W) float32 in [-1, 1]. Unlike a `Clip` to train on
nothing is cropped, and no prompt is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ClipError
from ..settings import require
from ..video.frame_source import FrameSource
from ..video.kinds import MEDIA_SUFFIXES, kind_of, media_in, mistaken_for, not_media
from ..video.pictures import image_source
from ..video.sources import file_source


@dataclass(frozen=True, kw_only=True)
class Video:
    """frames: (F, 3, H, W) float32 in [-1, 1], F at least 2. name: for messages and tables. fps:
    frames a second."""

    name: str
    frames: Tensor
    fps: float


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """Which frames are evaluated.

    frames: so many, from the beginning; None: all. fps: resampled to so many frames a second; None:
    at the video's own rate.
    """

    frames: int | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        require(
            self.frames is None or self.frames >= 2,
            "VideoSettings.frames",
            self.frames,
            "2 or more, or nothing for all",
        )
        require(self.fps is None or self.fps > 0, "VideoSettings.fps", self.fps, "more than 0")


def video_paths(given: Sequence[Path]) -> list[Path]:
    """The videos among `given`: files, folders of images (one video each), and what lies in folders
    of videos, in the order of their names.

    Raises ClipError for what is not there and for folders that hold neither.
    """
    return [path for one in given for path in _expanded(one)]


@torch.inference_mode(False)
def load_video(path: Path, settings: VideoSettings) -> Video:
    """Reads one of `video_paths`. Raises ClipError if it cannot be read, has fewer than two frames,
    or fewer than are asked for."""
    source = _source(path)
    indices, fps = _chosen(source, settings)
    frames = list(source.read(indices))
    sizes = sorted({(frame.shape[2], frame.shape[1]) for frame in frames})
    if len(sizes) > 1:
        shown = ", ".join(f"{width}x{height}" for width, height in sizes)
        raise ClipError(f"{source.name} has frames of {shown}. Make them the same size.")
    return Video(name=source.name, frames=torch.stack(frames), fps=fps)


def video_length(path: Path, settings: VideoSettings) -> int:
    """How many frames `load_video` would give, without decoding any; raises what it raises."""
    return len(_chosen(_source(path), settings)[0])


def _expanded(path: Path) -> list[Path]:
    if not path.exists():
        raise ClipError(f"There is no {path}. Check the path.")
    if not path.is_dir():
        if what := mistaken_for(path):
            raise not_media(path, what, "a video")
        if kind_of(path) == "image":
            raise ClipError(f"{path.name} is a picture, not a video. Use a video, or a folder.")
        return [path]
    media = media_in(path)
    if not media.videos and not media.images:
        kinds = ", ".join(MEDIA_SUFFIXES)
        raise ClipError(f"{path.name} contains no videos or images ({kinds}). Add some.")
    return list(media.videos) or [path]


def _source(path: Path) -> FrameSource:
    if path.is_dir():
        return image_source(media_in(path).images, path.name)
    return file_source(path)


def _chosen(source: FrameSource, settings: VideoSettings) -> tuple[list[int], float]:
    """Indices of the frames to read, and their rate."""
    interval = source.interval
    if settings.fps is None:
        indices, fps = list(range(len(source.times))), 1 / interval
    elif settings.fps * interval > 1.02:  # a rate of 29.97 may well be called 30
        raise ClipError(
            f"{source.name} has {1 / interval:.4g} frames per second; fps is {settings.fps:g}, "
            "so frames would repeat. Lower fps, or leave it out."
        )
    else:
        count = ceil((source.times[-1] + interval) * settings.fps - 1e-3)
        indices, fps = [source.nearest(k / settings.fps) for k in range(count)], settings.fps
    asked = settings.frames or 2
    if len(indices) < asked:
        raise ClipError(
            f"{source.name} has {len(indices)} frames at {fps:.4g} fps; {asked} are needed. "
            "Lower frames, raise fps, or use a longer video."
        )
    return indices[: settings.frames], fps
