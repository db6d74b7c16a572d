"""Draws the thumbnails that move: `python -m tools.workflows.moving --videos DIR`.

For every video DIR/NAME.mp4 that the workflow NAME has made, `workflows/NAME.webp` shows the clip
that it learned from on the left and the video on the right, in step; the indexes then name it.
ComfyUI's slider that compares two pictures asks for both by the same address where a template is a
pack's, so both halves are in one picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from motion_core.shape_world.references import DEMO_CLIP
from motion_core.video.clips import load_clips
from motion_core.video.settings import ClipSettings

from .__main__ import FOLDER, write_indexes

SIDE, GAP, CAPTION = 512, 4, 28
FRAMES, MILLISECONDS = 16, 125
BACKGROUND, TEXT = "#18191c", "#eceef0"
CAPTIONS = ("the clip", "what comes out")


def draw(clip: Sequence[Image.Image], result: Sequence[Image.Image]) -> list[Image.Image]:
    """SIDE by SIDE pictures, one for each pair of frames: both in the middle, captions above."""
    half = (SIDE - GAP) // 2
    font = ImageFont.load_default(18)
    pictures = []
    for pair in zip(clip, result, strict=True):
        picture = Image.new("RGB", (SIDE, SIDE), BACKGROUND)
        top = (SIDE - half) // 2
        for frame, caption, left in zip(pair, CAPTIONS, (0, half + GAP), strict=True):
            picture.paste(frame.resize((half, half), Image.Resampling.BICUBIC), (left, top))
            ImageDraw.Draw(picture).text((left + 6, top - CAPTION), caption, TEXT, font)
        pictures.append(picture)
    return pictures


def save(pictures: Sequence[Image.Image], path: Path) -> None:
    """As an endless WebP."""
    first, *rest = pictures
    first.save(path, save_all=True, append_images=rest, duration=MILLISECONDS, loop=0, quality=80)


def frames_of(video: Path) -> list[Image.Image]:
    (clip,) = load_clips(video, ClipSettings(frames=FRAMES), "a video")
    return [_image(frame) for frame in clip.frames]


def _image(frame: Tensor) -> Image.Image:
    """frame: (3, H, W) in [-1, 1]."""
    return Image.fromarray(((frame + 1) * 127.5).round().byte().movedim(0, -1).numpy())


def main() -> None:
    """Command line; see above."""
    parser = argparse.ArgumentParser(prog="python -m tools.workflows.moving")
    parser.add_argument("--videos", type=Path, required=True, help="a folder of NAME.mp4")
    clip = frames_of(DEMO_CLIP)
    for video in sorted(parser.parse_args().videos.glob("*.mp4")):
        if (FOLDER / f"{video.stem}.json").is_file():
            save(draw(clip, frames_of(video)), FOLDER / f"{video.stem}.webp")
    write_indexes()


if __name__ == "__main__":
    main()
