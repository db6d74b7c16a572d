"""Videos, images and frames in memory → `Clip`s of one size, rate and length.

Input: a video or an animated picture, a folder of them, a folder of images (the frames of one
clip), an image, or a tensor; and `ClipSettings`. Output: `Clip`s, frames (F, 3, H, W) float32 in
[-1, 1]. What a file is, its content says (see `kinds`); docs/inputs.md tells which can be read.

A clip's prompt is the one given, or else the text of the caption beside it (see `captions`).

Deviation: MotionDirector cuts a video into successive chunks and trains on the second one, keeping
a short tail chunk. Here the windows are spread evenly over the video and all have the full length.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ClipError
from ..types import Clip
from .captions import caption_of, checked_prompt
from .frame_source import DEFAULT_FPS, FrameSource, OnProgress, ignore, share
from .framing import fit_frame, target_size
from .kinds import IMAGE_SUFFIXES, MEDIA_SUFFIXES, kind_of, media_in
from .pictures import image_source, require_still
from .settings import ClipSettings
from .sources import file_source, tensor_source

logger = logging.getLogger(__name__)

OnNote = Callable[[str], None]
"""Told what a user should know before the reading goes on."""
_LARGE = 1024 * 1024
"""Pixels of a frame; the bases were trained on a quarter of it."""


@torch.inference_mode(False)
def load_clips(
    path: Path,
    settings: ClipSettings,
    prompt: str | None = None,
    on_progress: OnProgress = ignore,
    on_note: OnNote = logger.warning,
) -> list[Clip]:
    """The clips of a video, of a folder of videos, of a folder of images, or of one image (F = 1).

    prompt: for all of them; None reads each one's caption file. Raises ClipError if there is
    nothing to read, a file is broken, a video is too short, or a caption is missing.
    """
    _require_exists(path)
    if path.is_dir():
        return _load_folder(path, settings, prompt, on_progress, on_note)
    if kind_of(path) == "image":
        return [load_image_clip(path, settings, prompt)]
    source, prompt = file_source(path), _find_prompt(path, prompt)
    return cut_clips(source, settings, prompt, on_progress, on_note)


@torch.inference_mode(False)
def load_image_clip(path: Path, settings: ClipSettings, prompt: str | None = None) -> Clip:
    """One image as a clip of one frame, for the appearance path. Only size and fit of the settings
    matter. Raises ClipError for what is no image, such as an animated picture.
    """
    _require_exists(path)
    require_still(path)
    frames = image_source([path], path.name).read([0])
    return Clip(
        frames=torch.stack(_framed(frames, settings, path.name)),
        fps=DEFAULT_FPS,
        prompt=_find_prompt(path, prompt),
        source=path.name,
    )


def load_image_clips(
    folder: Path,
    settings: ClipSettings,
    prompt: str | None = None,
    on_progress: OnProgress = ignore,
) -> list[Clip]:
    """Every image of a folder as a clip of one frame each, in the order of their names."""
    _require_exists(folder)
    media = media_in(folder)
    if not media.images:
        raise ClipError(
            f"{folder.name} contains no images ({', '.join(IMAGE_SUFFIXES)}). Add some."
        )
    if media.videos:
        logger.info("%s: %d videos next to the images were skipped", folder.name, len(media.videos))
    clips = []
    for number, path in enumerate(media.images):
        on_progress(number / len(media.images))
        clips.append(load_image_clip(path, settings, prompt))
    return clips


@torch.inference_mode(False)
def clips_from_frames(
    frames: Tensor, fps: float, prompt: str, settings: ClipSettings, source: str = "frames"
) -> list[Clip]:
    """The clips of frames in memory: (F, H, W, 3), uint8 or floats in 0..1, at `fps` frames a
    second.

    The frames are copied; frames from inside an inference_mode block (ComfyUI's) become ordinary
    ones.
    """
    if not fps > 0:
        raise ClipError(f"{source}: fps is {fps}; expected the frame rate, more than 0.")
    return cut_clips(tensor_source(frames, source, fps), settings, prompt)


def window_starts(available: int, first: int, settings: ClipSettings, name: str) -> list[int]:
    """Where the windows begin, in steps of the (resampled) video: the first at `first`, the last at
    the very end.

    available: steps of the whole video. Raises ClipError if the rest is too short for one window,
    or for so many different ones.
    """
    rest = available - first
    slack = rest - ((settings.frames - 1) * settings.stride + 1)
    rate = f"{settings.fps:g} fps" if settings.fps else f"stride {settings.stride}"
    if slack < 0:
        have = max(0, ceil(rest / settings.stride))
        begin = f" from second {settings.start_seconds:g}" if first else ""
        raise ClipError(
            f"{name} has {have} frames at {rate}{begin}; {settings.frames} were requested. "
            f"{_how_to_get_more(first, settings)}, or use a longer clip."
        )
    if settings.windows > slack + 1:
        raise ClipError(
            f"{name} has room for {slack + 1} different windows of {settings.frames} frames at "
            f"{rate}; {settings.windows} were requested. Lower windows."
        )
    gaps = max(1, settings.windows - 1)
    return [first + (2 * k * slack + gaps) // (2 * gaps) for k in range(settings.windows)]


def _how_to_get_more(first: int, settings: ClipSettings) -> str:
    lower = "Lower frames" + (" or stride" if settings.stride > 1 else "")
    earlier = ", or start earlier" if first > 0 else ""
    return lower + earlier + (", or raise fps" if settings.fps else "")


@torch.inference_mode(False)
def cut_clips(
    source: FrameSource,
    settings: ClipSettings,
    prompt: str,
    on_progress: OnProgress = ignore,
    on_note: OnNote = logger.warning,
) -> list[Clip]:
    """All windows of one source, read one after the other; of the source, no other frame is kept.

    Raises ClipError for settings that do not fit it, and for an empty prompt.
    """
    prompt = checked_prompt(prompt, source.name)
    interval = source.interval
    if settings.frames == 1 and len(source.times) > 1:
        raise ClipError(
            f"frames is 1 for {source.name}, which has {len(source.times)}; a single frame has "
            "appearance but no motion. Use 2 frames or more, or give an image to train "
            "appearance."
        )
    if settings.fps and settings.fps * interval > 1.02:  # a rate of 29.97 may well be called 30
        raise ClipError(
            f"{source.name} has {1 / interval:.4g} frames per second; fps is {settings.fps:g}, "
            "so frames would repeat. Lower fps, or leave it out."
        )
    step = 1 / settings.fps if settings.fps else interval
    available = ceil((source.times[-1] + interval) / step - 1e-3)
    first = round(settings.start_seconds / step)
    clips: list[Clip] = []
    starts = window_starts(available, first, settings, source.name)
    if warning := memory_warning(source, settings):
        on_note(warning)
    for number, start in enumerate(starts):
        ticks = [start + k * settings.stride for k in range(settings.frames)]
        indices = [source.nearest(tick * step) for tick in ticks]
        frames = source.read(indices, share(on_progress, number, len(starts)))
        clips.append(
            Clip(
                frames=torch.stack(_framed(frames, settings, source.name)),
                fps=1 / (step * settings.stride),
                prompt=prompt,
                source=source.name
                if settings.windows == 1
                else f"{source.name} from {start * step:.2f} s",
            )
        )
    return clips if len(clips) == 1 else _of_one_video(clips)


def memory_warning(source: FrameSource, settings: ClipSettings) -> str:
    """What the frames of a large source take where no size is set; empty where they are small."""
    if source.size is None or settings.width is not None or settings.height is not None:
        return ""
    height, width = target_size(*source.size, None, None)
    if height * width <= _LARGE:
        return ""
    count = settings.frames * settings.windows
    gigabytes = count * 3 * height * width * 4 / 1e9
    return (
        f"{source.name} is {width}x{height} and no width or height is set, so it keeps that size: "
        f"{count} frames take {gigabytes:.1f} GB of memory, and training on them takes many times "
        "more. Set the width and height that suit the base, 512 for AnimateDiff."
    )


def _of_one_video(clips: Sequence[Clip]) -> list[Clip]:
    """The clips with their video's identity: a hash of all their pixels, whatever its name."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(clip.frames.numpy().tobytes())
    return [replace(clip, video=digest.hexdigest()) for clip in clips]


def _framed(frames: Iterable[Tensor], settings: ClipSettings, name: str) -> list[Tensor]:
    """The frames at the settings' size, one by one: what was read is let go before the next."""
    framed: list[Tensor] = []
    first: tuple[int, int] | None = None
    for number, frame in enumerate(frames):
        height, width = frame.shape[1:]
        first = first or (height, width)
        if (height, width) != first:
            raise ClipError(
                f"frame {number} of {name} is {width}x{height}; the first is "
                f"{first[1]}x{first[0]}. Make them the same size."
            )
        size = target_size(height, width, settings.height, settings.width)
        framed.append(fit_frame(frame, *size, settings.fit))
    return framed


def _load_folder(
    folder: Path,
    settings: ClipSettings,
    prompt: str | None,
    on_progress: OnProgress,
    on_note: OnNote,
) -> list[Clip]:
    media = media_in(folder)
    if media.videos:
        if media.images:
            skipped = len(media.images)
            logger.info("%s: %d images next to the videos were skipped", folder.name, skipped)
        clips: list[Clip] = []
        for number, video in enumerate(media.videos):
            part = share(on_progress, number, len(media.videos))
            clips += load_clips(video, settings, prompt, part, on_note)
        return clips
    if not media.images:
        kinds = ", ".join(MEDIA_SUFFIXES)
        raise ClipError(f"{folder.name} contains no videos or images ({kinds}). Add some.")
    source = image_source(media.images, folder.name, settings.fps or DEFAULT_FPS)
    return cut_clips(source, settings, _find_prompt(folder, prompt), on_progress, on_note)


def _find_prompt(path: Path, prompt: str | None) -> str:
    return caption_of(path) if prompt is None else checked_prompt(prompt, path.name)


def _require_exists(path: Path) -> None:
    if not path.exists():
        raise ClipError(f"There is no {path}. Check the path.")
