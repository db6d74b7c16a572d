"""Draws the registry's pictures of the pack: `python -m tools.registry.pictures`.

Icon: a shape on a zigzag, as the bundled clip has it, with where it was before. Banner: the same
motion twice, of the clip's shape and of another one, beside the pack's name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .archive import ROOT

FOLDER = ROOT / "docs" / "registry"
ICON, BANNER = (400, 400), (1260, 540)  # pixels; square, and 21:9
SCALE = 4  # drawn SCALE times as large, for smooth edges
BACKGROUND, PANEL = (22, 24, 29), (34, 38, 46)
ORANGE, BLUE, WHITE, DIM = (240, 128, 60), (92, 160, 240), (236, 238, 240), (163, 168, 176)
GHOSTS = 9  # places before the last one
TURNS = ((0.0, 0.72), (0.34, 0.2), (0.64, 0.8), (1.0, 0.28))  # of the zigzag, in its box
NAME = "Motion Adapters"
LINES = ("Learn the motion of one clip.", "Apply it to new subjects.")

Point = tuple[float, float]
Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]
Shape = Callable[[ImageDraw.ImageDraw, Point, float, Colour], None]


def circle(pen: ImageDraw.ImageDraw, at: Point, radius: float, colour: Colour) -> None:
    x, y = at
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)


def square(pen: ImageDraw.ImageDraw, at: Point, radius: float, colour: Colour) -> None:
    x, y = at
    side = 0.9 * radius
    pen.rounded_rectangle((x - side, y - side, x + side, y + side), 0.3 * radius, colour)


def places(box: Box, count: int) -> list[Point]:
    """Places along the zigzag inside a box, evenly from its start to its end."""
    left, top, right, bottom = box
    points = np.array(TURNS) * (right - left, bottom - top) + (left, top)
    passed = np.cumsum([0.0, *np.linalg.norm(np.diff(points, axis=0), axis=1)])
    way = np.linspace(0.0, passed[-1], count)
    xs, ys = (np.interp(way, passed, points[:, axis]) for axis in (0, 1))
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def draw_motion(
    pen: ImageDraw.ImageDraw, box: Box, radius: float, shape: Shape, colour: Colour, under: Colour
) -> None:
    """A shape at the zigzag's end, and where it was before, fainter the longer ago."""
    way = places(box, GHOSTS + 1)
    for number, at in enumerate(way):
        share = 0.12 + 0.5 * number / GHOSTS if number < GHOSTS else 1.0
        size = radius * (0.55 + 0.45 * number / GHOSTS)
        shape(pen, at, size, _mixed(under, colour, share))


def _mixed(under: Colour, over: Colour, share: float) -> Colour:
    red, green, blue = (round(u + share * (o - u)) for u, o in zip(under, over, strict=True))
    return red, green, blue


def icon() -> Image.Image:
    """The shape of the clip on its way, without text."""
    side = ICON[0] * SCALE
    picture = Image.new("RGB", (side, side), BACKGROUND)
    pen = ImageDraw.Draw(picture)
    box = (0.16 * side, 0.14 * side, 0.82 * side, 0.86 * side)
    draw_motion(pen, box, 0.11 * side, circle, ORANGE, BACKGROUND)
    return picture.resize(ICON, Image.Resampling.LANCZOS)


def banner() -> Image.Image:
    """Name and lines on the left, the clip's motion above another shape's on the right."""
    width, height = (pixels * SCALE for pixels in BANNER)
    picture = Image.new("RGB", (width, height), BACKGROUND)
    pen = ImageDraw.Draw(picture)
    left = 0.06 * width
    pen.text((left, 0.3 * height), NAME, WHITE, ImageFont.load_default(72 * SCALE))
    for number, line in enumerate(LINES):
        at = (left, (0.52 + 0.1 * number) * height)
        pen.text(at, line, DIM, ImageFont.load_default(34 * SCALE))
    for number, (shape, colour) in enumerate(((circle, ORANGE), (square, BLUE))):
        top = (0.08 + 0.44 * number) * height
        panel = (0.6 * width, top, 0.95 * width, top + 0.4 * height)
        pen.rounded_rectangle(panel, 16 * SCALE, PANEL)
        draw_motion(pen, _inside(panel, 52 * SCALE), 34 * SCALE, shape, colour, PANEL)
    return picture.resize(BANNER, Image.Resampling.LANCZOS)


def _inside(box: Box, margin: float) -> Box:
    return box[0] + margin, box[1] + margin / 2, box[2] - margin, box[3] - margin / 2


def main() -> None:
    """Writes both."""
    FOLDER.mkdir(exist_ok=True)
    for name, picture in (("icon", icon()), ("banner", banner())):
        picture.save(Path(FOLDER / f"{name}.png"), optimize=True)


if __name__ == "__main__":
    main()
