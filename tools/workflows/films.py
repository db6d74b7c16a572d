"""Frames for the thumbnails: of what a workflow learns from, and of what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from motion_core.shape_world.references import DEMO_CLIP
from motion_core.shape_world.renderer import reference_scene, render
from motion_core.video.clips import load_clips
from motion_core.video.settings import ClipSettings

FRAMES = 6


def learned_from(workflow: Mapping[str, Any]) -> tuple[str, list[Image.Image]]:
    """The clips of the sample base and those that are drawn: what to call them, and FRAMES frames,
    as many of each.
    """
    sources = [source for node in workflow["nodes"] for source in _sources(node)]
    each = FRAMES // len(sources)
    frames = [image for clip, _ in sources for image in _spread(clip, each)]
    kinds = [kind for _, kind in sources]
    several = len(kinds) > 1 and set(kinds) == {"clip"}
    return "the clips" if several else f"the {' and the '.join(kinds)}", frames


def _sources(node: Mapping[str, Any]) -> Iterator[tuple[Tensor, str]]:
    """Frames (F, 3, H, W) in [-1, 1], and whether they are a clip or an image."""
    linked = {output["name"] for output in node.get("outputs", []) if output["links"]}
    if node["type"] == "SampleMotionBase" and "clip" in linked:
        yield _read(DEMO_CLIP), "clip"
    if node["type"] == "SampleMotionClip":
        *words, look = node["widgets_values"]
        drawn = torch.from_numpy(render(replace(reference_scene(*words), look=look)))
        frames = drawn.movedim(-1, 1) * 2 - 1
        yield (frames[:1], "image") if "picture" in linked else (frames, "clip")


def frames_of(video: Path) -> list[Image.Image]:
    """FRAMES frames of a video, spread evenly over its first 16."""
    return _spread(_read(video), FRAMES)


def _read(video: Path) -> Tensor:
    (clip,) = load_clips(video, ClipSettings(frames=16), "a video")
    return clip.frames


def _spread(frames: Tensor, count: int) -> list[Image.Image]:
    """So many of them, from the first to the last."""
    last = len(frames) - 1
    chosen = [frames[round(place * last / max(1, count - 1))] for place in range(count)]
    return [
        Image.fromarray(((frame + 1) * 127.5).round().byte().movedim(0, -1).numpy())
        for frame in chosen
    ]
