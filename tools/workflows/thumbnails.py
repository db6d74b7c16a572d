"""Draws the thumbnails of `workflows/`: `python -m tools.workflows.thumbnails --videos DIR`.

Each shows the graph as it lies on the page and, where DIR holds a video of the workflow's name that
it has made, frames of that video under it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from motion_core.clips import ClipSettings, load_clips

from .__main__ import FOLDER

SIDE, MARGIN, FRAMES = 512, 16, 4
BACKGROUND, BODY, EDGE, TEXT = "#202225", "#35373b", "#55585e", "#d8dadd"
WIRES = {"MODEL": "#b39ddb", "IMAGE": "#64b5f6", "VIDEO": "#64b5f6", "CLIP": "#ffd500"}
OURS = "#e0883c"  # sockets of this pack
Box = tuple[float, float, float, float]


def draw(workflow: Mapping[str, Any], frames: Sequence[Image.Image]) -> Image.Image:
    """The picture, SIDE pixels wide and high."""
    strip = (SIDE - 2 * MARGIN) // FRAMES if frames else 0
    picture = Image.new("RGB", (SIDE, SIDE), BACKGROUND)
    space = SIDE - 2 * MARGIN, SIDE - 2 * MARGIN - strip - (MARGIN if strip else 0)
    _draw_graph(ImageDraw.Draw(picture), workflow, space)
    for place, frame in enumerate(frames):
        small = frame.resize((strip - 4, strip - 4), Image.Resampling.NEAREST)
        picture.paste(small, (MARGIN + place * strip + 2, SIDE - MARGIN - strip + 2))
    return picture


def _draw_graph(
    pen: ImageDraw.ImageDraw, workflow: Mapping[str, Any], space: tuple[int, int]
) -> None:
    nodes = {node["id"]: node for node in workflow["nodes"]}
    left = min(node["pos"][0] for node in nodes.values())
    top = min(node["pos"][1] for node in nodes.values()) - 60
    right = max(node["pos"][0] + node["size"][0] for node in nodes.values())
    bottom = max(node["pos"][1] + node["size"][1] for node in nodes.values())
    scale = min(space[0] / (right - left), space[1] / (bottom - top))
    rise = MARGIN + (space[1] - scale * (bottom - top)) / 2

    def box(x: float, y: float, width: float, height: float) -> Box:
        x, y = MARGIN + (x - left) * scale, rise + (y - top) * scale
        return x, y, x + width * scale, y + height * scale

    for group in workflow["groups"]:
        pen.rectangle(box(*group["bounding"]), fill=group["color"])
    boxes = {number: box(*node["pos"], *node["size"]) for number, node in nodes.items()}
    for _, source, slot, target, place, kind in workflow["links"]:
        start = boxes[source][2], boxes[source][1] + 20 * scale * (slot + 0.7)
        end = boxes[target][0], boxes[target][1] + 20 * scale * (place + 0.7)
        colour = OURS if kind.startswith("MOTION") else WIRES.get(kind, "#9aa0a6")
        pen.line([start, end], fill=colour, width=2)
    font = ImageFont.load_default(size=9)
    for number, node in nodes.items():
        pen.rounded_rectangle(boxes[number], 3, node.get("bgcolor", BODY), EDGE)
        _write(pen, boxes[number], node, font)


def _write(pen: ImageDraw.ImageDraw, box: Box, node: Mapping[str, Any], font: Any) -> None:
    """The node's title, on as many lines as its width asks for."""
    words = _spaced(node.get("title") or node["type"]).split()
    y, line = box[1] + 3, ""
    for word in [*words, ""]:
        longer = f"{line} {word}".strip()
        if word and pen.textlength(longer, font=font) < box[2] - box[0] - 6:
            line = longer
            continue
        if y + 10 < box[3]:
            pen.text((box[0] + 4, y), line, fill=TEXT, font=font)
        y, line = y + 11, word


def _spaced(name: str) -> str:
    """KSampler stays; LoadMotionAdapter becomes Load Motion Adapter."""
    letters = []
    for before, letter in zip(" " + name, name, strict=False):
        letters.append(f" {letter}" if letter.isupper() and before.islower() else letter)
    return "".join(letters).replace("_", " ")


def frames_of(video: Path) -> list[Image.Image]:
    """FRAMES frames of a video, spread evenly; none if it is not there."""
    if not video.is_file():
        return []
    (clip,) = load_clips(video, ClipSettings(frames=16), "a video")
    chosen = clip.frames[:: 16 // FRAMES][:FRAMES]
    levels = ((chosen + 1) * 127.5).round().byte().movedim(1, -1).numpy()
    return [Image.fromarray(frame) for frame in levels]


def main() -> None:
    """Command line; see above."""
    parser = argparse.ArgumentParser(prog="python -m tools.workflows.thumbnails")
    parser.add_argument("--videos", type=Path, required=True, help="a folder of NAME.mp4")
    videos = parser.parse_args().videos
    for file in sorted(FOLDER.glob("*.json")):
        workflow = json.loads(file.read_text(encoding="utf-8"))
        picture = draw(workflow, frames_of(videos / f"{file.stem}.mp4"))
        picture.save(file.with_suffix(".jpg"), quality=85)


if __name__ == "__main__":
    main()
