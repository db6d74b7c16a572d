"""Writes the reference clips as real video files: `python -m motion_core.shape_world.references
--output DIR`.

One mp4 and one caption a reference motion, each worn by a subject of its own. The demo's clip
ships with the pack.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ..video.writing import write_video
from .motions import REFERENCE_MOTIONS
from .renderer import Scene, reference_scene, render
from .scores import Subject

FPS = 8.0
ENLARGED = 8
"""How often each pixel is repeated in a clip's file: video formats keep colours at half the size,
and at 64x64 they would bleed into the background."""
DEMO_CLIP = Path(__file__).parent / "clips" / "zigzag.mp4"

WORN: dict[str, Subject] = {
    "zigzag": Subject(colour="red", shape="circle", background="checkered"),
    "bounce": Subject(colour="orange", shape="square", background="dotted"),
    "figure-eight": Subject(colour="green", shape="triangle", background="striped"),
    "spiral": Subject(colour="purple", shape="cross", background="grey"),
    "grow-and-shrink": Subject(colour="cyan", shape="circle", background="white"),
    "camera-pan": Subject(colour="blue", shape="square", background="checkered"),
    "camera-zoom": Subject(colour="yellow", shape="triangle", background="dotted"),
}
"""Who wears each reference motion."""


def reference(motion: str) -> Scene:
    """The scene of a reference motion, worn by the subject that its clip shows."""
    worn = WORN[motion]
    return reference_scene(motion, worn.colour, worn.shape, worn.background)


def write_reference(motion: str, path: Path) -> None:
    """Renders a reference clip to a 512x512 mp4 of 16 frames at 8 frames a second, its caption
    beside it."""
    scene = reference(motion)
    frames = torch.from_numpy(render(scene)).permute(0, 3, 1, 2) * 2 - 1
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames, FPS, ENLARGED)
    path.with_suffix(".txt").write_text(scene.prompt + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("out/reference_clips"))
    folder = parser.parse_args(arguments).output
    for motion in REFERENCE_MOTIONS:
        write_reference(motion, folder / f"{motion}.mp4")


if __name__ == "__main__":
    main()
