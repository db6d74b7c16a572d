"""What a run has to train on, counted by its files' names before anything is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..methods.defaults import Material
from ..video.clips import IMAGE_SUFFIXES, VIDEO_SUFFIXES, media_files


def material_of_run(given: Mapping[str, Any]) -> Material:
    """As `load_clips` will find it. given: a run's settings. A path that is missing counts as one;
    loading refuses it.
    """
    clips, images = _paths(given.get("clips")), _paths(given.get("images"))
    stills = [path for path in clips if path.suffix.lower() in IMAGE_SUFFIXES]
    videos = [path for path in clips if path not in stills]
    frames = given["clip"].get("frames")
    return Material(
        videos=sum(_count(path, VIDEO_SUFFIXES) for path in videos),
        images=len(stills) + sum(_count(path, IMAGE_SUFFIXES) for path in images),
        frames=frames if isinstance(frames, int) else None,
    )


def _paths(given: object) -> list[Path]:
    """A list that is none is refused where the settings are checked."""
    return [Path(str(path)) for path in given] if isinstance(given, (list, tuple)) else []


def _count(path: Path, suffixes: Sequence[str]) -> int:
    """The files of a folder; one for a file, and for a folder with the frames of one clip."""
    return max(1, len(media_files(path, suffixes))) if path.is_dir() else 1
