"""What the metric of motion that needs no truth says of a real clip, beside the same clip changed.

`python -m benchmarks.real_clip CLIP` writes benchmarks/real_clip.json in a few seconds. Shape
world's tracks are known, a real clip's are not; but what a change does to them is: other colours
and a blur move nothing, backwards turns every step around, and a still frame has none.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from motion_core.evaluation.base import Subject
from motion_core.evaluation.evaluate import evaluate_frames
from motion_core.evaluation.models import ModelFiles
from motion_core.evaluation.videos import Video, VideoSettings, load_video

RESULT = Path(__file__).with_suffix(".json")
METRIC = "motion_fidelity_tracklets"
SETTINGS = VideoSettings(frames=16, fps=8.0)
BLUR = 9
"""Pixels of the blur's kernel."""

CHANGES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "itself": lambda frames: frames,
    "red and blue exchanged": lambda frames: frames.flip(1),
    "negative": lambda frames: -frames,
    "blurred": lambda frames: gaussian_blur(frames, BLUR),
    "mirrored": lambda frames: frames.flip(3),
    "backwards": lambda frames: frames.flip(0),
    "its first frame, still": lambda frames: frames[:1].expand_as(frames).contiguous(),
}
"""From frames (F, 3, H, W) in [-1, 1] to such frames."""


def measure(clip: Video) -> dict[str, float]:
    """The fidelity of each change of the clip to the clip, by the change's name."""
    changed = [
        Video(name=n, frames=change(clip.frames), fps=clip.fps) for n, change in CHANGES.items()
    ]
    report = evaluate_frames([Subject(video=video) for video in changed], clip, ModelFiles())
    return {one.video: one.scores[METRIC] for one in report.videos}


def main() -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    clip = load_video(parser.parse_args().clip, SETTINGS)
    frames, _, height, width = clip.frames.shape
    record = {
        "clip": f"{clip.name}, {frames} frames of {width}x{height} at {clip.fps:g} a second",
        "torch": torch.__version__,
        METRIC: {name: round(value, 3) for name, value in measure(clip).items()},
    }
    RESULT.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
