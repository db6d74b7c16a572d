"""Draws the thumbnails of `workflows/`: `python -m tools.workflows.thumbnails --object-info FILE
--videos DIR`.

FILE is what GET /object_info answers, for the nodes' names. Each picture shows the groups of the
graph under each other, with a card for every node and the links between them; notes are left out.
Where DIR holds a video of the workflow's name that it has made, frames of it stand under the graph,
and above them frames of the clips that it learned from.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from .__main__ import FOLDER
from .films import FRAMES, frames_of, learned_from

SIDE, SCALE = 512, 3  # drawn SCALE times as large, for smooth lines
MARGIN, GAP, HEADING, CARDS = 12, 14, 22, 4  # pixels; at most so many cards in a row
CAPTION = 14
BACKGROUND, CARD, WIDGET, EDGE = "#18191c", "#2b2d31", "#383b41", "#555961"
TEXT, DIM = "#eceef0", "#a3a8b0"
WIRES = {
    "MODEL": "#b39ddb",
    "CLIP": "#ffd500",
    "VAE": "#ff6e6e",
    "CONDITIONING": "#ffa931",
    "LATENT": "#ff9cf9",
    "IMAGE": "#64b5f6",
    "VIDEO": "#64b5f6",
}
OURS, OTHER = "#f0803c", "#9aa0a6"  # sockets of this pack, and all else
# From a card's middle, by colour, so that wires that run together are told apart.
SPREAD = {
    colour: 6.0 * place for place, colour in enumerate([*dict.fromkeys(WIRES.values()), OURS])
}
Node = Mapping[str, Any]
Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Band:
    """A group: its title and colour, and its nodes in rows."""

    title: str
    colour: str
    rows: Sequence[Sequence[Node]]


def draw(
    workflow: Mapping[str, Any],
    names: Mapping[str, str],
    films: Sequence[tuple[str, Sequence[Image.Image]]],
) -> Image.Image:
    """The picture, SIDE pixels wide and high. names: of the nodes' types. films: captions and
    FRAMES frames each.
    """
    picture = Image.new("RGB", (SIDE * SCALE, SIDE * SCALE), BACKGROUND)
    pen = ImageDraw.Draw(picture)
    frame = (SIDE - 2 * MARGIN - (FRAMES - 1) * 4) // FRAMES
    film_height = frame + CAPTION + 6
    bottom = SIDE - MARGIN - len(films) * film_height - (4 if films else 0)
    _draw_graph(pen, workflow, names, bottom)
    for number, (caption, frames) in enumerate(films):
        top = bottom + 8 + number * film_height
        _text(pen, (MARGIN, top), caption, 11, DIM)
        for place, image in enumerate(frames):
            large = image.resize((frame * SCALE, frame * SCALE), Image.Resampling.NEAREST)
            picture.paste(large, ((MARGIN + place * (frame + 4)) * SCALE, (top + CAPTION) * SCALE))
    return picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def bands_of(workflow: Mapping[str, Any]) -> list[Band]:
    """The groups from the left, each with the nodes inside it from the left and from the top."""
    bands = []
    for group in sorted(workflow["groups"], key=lambda group: group["bounding"][0]):
        x, y, width, height = group["bounding"]
        inside = [
            node
            for node in workflow["nodes"]
            if x <= node["pos"][0] < x + width and y <= node["pos"][1] < y + height
        ]
        inside.sort(key=lambda node: (node["pos"][0], node["pos"][1]))
        count = -(-len(inside) // CARDS)
        size = -(-len(inside) // count)
        rows = [inside[start : start + size] for start in range(0, len(inside), size)]
        bands.append(Band(group["title"], group["color"], rows))
    return bands


def _draw_graph(
    pen: ImageDraw.ImageDraw, workflow: Mapping[str, Any], names: Mapping[str, str], bottom: float
) -> None:
    bands = bands_of(workflow)
    rows = sum(len(band.rows) for band in bands)
    used = MARGIN + len(bands) * (HEADING + GAP) + (rows - len(bands)) * GAP
    height = (bottom - used + GAP - len(bands) * 6) / rows
    boxes: dict[int, Box] = {}
    titles: list[tuple[float, Band]] = []
    top = float(MARGIN)
    for band in bands:
        inner = len(band.rows) * height + (len(band.rows) - 1) * GAP
        whole = (MARGIN / 2, top, SIDE - MARGIN / 2, top + HEADING + inner + 6)
        pen.rounded_rectangle(_scaled(whole), 8 * SCALE, fill=band.colour)
        titles.append((top + 3, band))
        for number, row in enumerate(band.rows):
            boxes.update(_row_boxes(row, top + HEADING + number * (height + GAP), height))
        top += HEADING + inner + 6 + GAP - 6
    for start, end, colour in _wires(workflow, boxes):
        _draw_wire(pen, start, end, colour)
    for node in workflow["nodes"]:
        if node["id"] in boxes:
            _draw_card(pen, boxes[node["id"]], node, names)
    for place, band in titles:  # over the wires
        width = pen.textlength(band.title, ImageFont.load_default(13 * SCALE)) / SCALE
        under = (MARGIN, place, MARGIN + width + 6, place + 16)
        pen.rectangle(_scaled(under), band.colour)
        _text(pen, (MARGIN + 2, place), band.title, 13, TEXT)


def _row_boxes(row: Sequence[Node], top: float, height: float) -> dict[int, Box]:
    width = (SIDE - 2 * MARGIN - (len(row) - 1) * GAP) / len(row)
    return {
        node["id"]: (left, top, left + width, top + height)
        for place, node in enumerate(row)
        for left in [MARGIN + place * (width + GAP)]
    }


def _wires(workflow: Mapping[str, Any], boxes: Mapping[int, Box]) -> Iterator[tuple[Box, Box, str]]:
    """Each pair of cards and colour once."""
    seen = set()
    for _, source, _, target, _, kind in workflow["links"]:
        colour = OURS if kind.startswith("MOTION") else WIRES.get(kind, OTHER)
        if (source, target, colour) not in seen and source in boxes and target in boxes:
            seen.add((source, target, colour))
            yield boxes[source], boxes[target], colour


def _draw_wire(pen: ImageDraw.ImageDraw, start: Box, end: Box, colour: str) -> None:
    """From a card's side to its neighbour's; to one further along the row below both; else from an
    edge to the one that faces it.
    """
    off = SPREAD.get(colour, 0.0) - 18
    same_row = abs(start[1] - end[1]) < 1
    if same_row and 0 < end[0] - start[2] < 2 * GAP:
        points = [(start[2], _middle(start)[1] + off), (end[0], _middle(end)[1] + off)]
        handles = points
    elif same_row:
        points = [(_middle(start)[0] + off, start[3]), (_middle(end)[0] + off, end[3])]
        handles = [(x, y + GAP) for x, y in points]
    else:
        down = start[1] < end[1]
        points = [
            (_middle(start)[0] + off, start[3] if down else start[1]),
            (_middle(end)[0] + off, end[1] if down else end[3]),
        ]
        reach = 0.6 * (points[1][1] - points[0][1])
        handles = [(points[0][0], points[0][1] + reach), (points[1][0], points[1][1] - reach)]
    curve = [_bezier(points[0], *handles, points[1], step / 24) for step in range(25)]
    pen.line([(x * SCALE, y * SCALE) for x, y in curve], colour, 2 * SCALE, joint="curve")
    for x, y in points:
        pen.ellipse(_scaled((x - 3, y - 3, x + 3, y + 3)), colour)


def _draw_card(pen: ImageDraw.ImageDraw, box: Box, node: Node, names: Mapping[str, str]) -> None:
    """The node's name, its first value if that is a text, and a bar for every other widget."""
    pen.rounded_rectangle(_scaled(box), 5 * SCALE, CARD, EDGE, SCALE)
    left, width, bottom = box[0] + 7, box[2] - box[0] - 14, box[3] - 4
    title = node.get("title") or names.get(node["type"], node["type"])
    title = title.encode("ascii", "ignore").decode()  # some packs put signs there
    y = box[1] + 5
    for line in _lines(pen, title.partition(" (")[0], 12, width)[:2]:
        _text(pen, (left, y), line, 12, TEXT)
        y += 15
    values = node["widgets_values"]
    rest = [*(values.values() if isinstance(values, Mapping) else values)]
    y += 3
    if rest and isinstance(rest[0], str):
        for line in _lines(pen, rest.pop(0), 10, width)[:3]:
            if y + 12 <= bottom:
                _text(pen, (left, y), line, 10, DIM)
            y += 13
        y += 3
    for _ in rest:
        if y + 9 > bottom:
            break
        pen.rounded_rectangle(_scaled((left, y, left + width, y + 7)), 3 * SCALE, WIDGET)
        y += 11


def _lines(pen: ImageDraw.ImageDraw, text: str, size: int, width: float) -> list[str]:
    """The text on lines of at most this width; a longer word is cut."""
    font = ImageFont.load_default(size * SCALE)
    lines, line = [], ""
    for word in text.split():
        while pen.textlength(word, font) > width * SCALE:
            word = f"{word.removesuffix('…')[:-1]}…"
        longer = f"{line} {word}".strip()
        if pen.textlength(longer, font) <= width * SCALE:
            line = longer
            continue
        lines.append(line)
        line = word
    return [*lines, line] if line else lines


def _text(pen: ImageDraw.ImageDraw, at: Point, text: str, size: int, fill: str) -> None:
    font = ImageFont.load_default(size * SCALE)
    pen.text((at[0] * SCALE, at[1] * SCALE), text, fill, font)


def _scaled(box: Box) -> Box:
    return box[0] * SCALE, box[1] * SCALE, box[2] * SCALE, box[3] * SCALE


def _middle(box: Box) -> Point:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _bezier(a: Point, b: Point, c: Point, d: Point, t: float) -> Point:
    u = 1 - t
    weights = (u**3, 3 * u * u * t, 3 * u * t * t, t**3)
    x, y = (
        sum(weight * point[axis] for weight, point in zip(weights, (a, b, c, d), strict=True))
        for axis in (0, 1)
    )
    return x, y


def main() -> None:
    """Command line; see above."""
    parser = argparse.ArgumentParser(prog="python -m tools.workflows.thumbnails")
    parser.add_argument("--object-info", type=Path, required=True, help="the JSON file")
    parser.add_argument("--videos", type=Path, required=True, help="a folder of NAME.mp4")
    arguments = parser.parse_args()
    definitions = json.loads(arguments.object_info.read_text(encoding="utf-8"))
    names = {kind: node["display_name"] for kind, node in definitions.items()}
    for file in sorted(FOLDER.glob("*.json")):
        workflow = json.loads(file.read_text(encoding="utf-8"))
        video = arguments.videos / f"{file.stem}.mp4"
        films = []
        if video.is_file():
            films = [learned_from(workflow), ("what comes out", frames_of(video))]
        draw(workflow, names, films).save(file.with_suffix(".jpg"), quality=88)


if __name__ == "__main__":
    main()
