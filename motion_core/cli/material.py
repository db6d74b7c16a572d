"""What a run has to train on, by its files' names and captions, before any picture is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import ClipError
from ..methods.defaults import Material
from ..video.captions import caption_of
from ..video.kinds import kind_of, media_in


def material_of_run(given: Mapping[str, Any]) -> Material:
    """As loading will find it. given: a run's settings, yet unchecked. A path that is missing
    counts as one, and a caption that is missing for none; loading refuses them, and a run without
    anything, for which one video stands here.
    """
    clips, images = (_texts(given.get(name)) for name in ("clips", "images"))
    prompts = _texts(given.get("prompts"))
    described: list[str | None] = []
    stills = sum(_count_images(Path(path)) for path in images)
    for index, path in enumerate(map(Path, clips)):
        if path.is_file() and kind_of(path) == "image":
            stills += 1
            continue
        prompt = prompts[min(index, len(prompts) - 1)] if prompts else None
        described += [prompt or _caption(video) for video in _videos(path)]
    frames = given["clip"].get("frames")
    return Material(
        videos=len(described) if described or stills else 1,
        images=stills,
        frames=frames if isinstance(frames, int) else None,
        prompts=tuple(dict.fromkeys(" ".join(text.split()) for text in described if text)),
    )


def _texts(given: object) -> list[str]:
    """A list that is none is refused where the settings are checked."""
    return [str(text) for text in given] if isinstance(given, (list, tuple)) else []


def _videos(path: Path) -> Iterator[Path]:
    """Those in a folder, or the path itself: a file, or the frames of one clip."""
    inside = media_in(path).videos if path.is_dir() else []
    yield from inside or [path]


def _count_images(path: Path) -> int:
    return max(1, len(media_in(path).images)) if path.is_dir() else 1


def _caption(path: Path) -> str | None:
    try:
        return caption_of(path)
    except ClipError:
        return None
