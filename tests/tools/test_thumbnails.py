"""Pictures of workflows: every node on a card, wires between them, frames below."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.tools.test_workflows import DEFINITIONS
from tools.workflows import moving
from tools.workflows.__main__ import FOLDER
from tools.workflows.films import FRAMES, learned_from
from tools.workflows.graph import Graph
from tools.workflows.thumbnails import CARDS, SIDE, bands_of, draw

BLUE, RED = (0, 0, 200), (200, 0, 0)


def workflow(nodes: int = 2) -> dict:
    """A note, and two groups of which the second holds all nodes but the first."""
    graph = Graph(DEFINITIONS)
    graph.note(0, "Read me", "What to do")
    load = graph.node("Load", 1)
    rest = [graph.node("Train", 2 + n, video=load.out("video")) for n in range(nodes - 1)]
    graph.group("Second", rest, "#0000c8")
    graph.group("First", [load], "#c80000")
    return graph.saved()


def test_groups_come_from_the_left_and_rows_are_even() -> None:
    """Six nodes in a group are two rows of three, not of four and two."""
    bands = bands_of(workflow(nodes=7))
    assert [band.title for band in bands] == ["First", "Second"]
    assert [[len(row) for row in band.rows] for band in bands] == [[1], [3, 3]]
    assert CARDS == 4
    (cards,) = bands[0].rows
    assert cards[0]["type"] == "Load"


def test_bands_have_their_groups_colours_and_frames_stand_below() -> None:
    frames = [Image.new("RGB", (8, 8), "#00ff00")] * FRAMES
    picture = draw(workflow(), {"Load": "Load Video"}, [("what comes out", frames)])
    assert picture.size == (SIDE, SIDE)
    left = [picture.getpixel((9, y)) for y in range(SIDE)]
    assert left.index(RED) < left.index(BLUE) < SIDE - 100
    assert picture.getpixel((SIDE // 2 + 20, SIDE - 40)) == (0, 255, 0)
    assert draw(workflow(), {}, []).getpixel((SIDE // 2 + 20, SIDE - 40)) != (0, 255, 0)


def test_a_thumbnail_that_moves_has_the_clip_on_the_left_and_the_video_on_the_right(
    tmp_path: Path,
) -> None:
    """Sixteen pairs of frames, of which the first and the last are looked at again in the file."""
    clip = [Image.new("RGB", (64, 64), (n, 0, 0)) for n in range(0, 160, 10)]
    video = [Image.new("RGB", (32, 32), (0, 0, n)) for n in range(0, 160, 10)]
    file = tmp_path / "moving.webp"
    moving.save(moving.draw(clip, video), file)
    with Image.open(file) as saved:
        assert (saved.size, saved.n_frames, saved.info["loop"]) == ((512, 512), 16, 0)
        saved.seek(15)
        picture = saved.convert("RGB")
    left, right = picture.getpixel((128, 256)), picture.getpixel((384, 256))
    assert left == pytest.approx((150, 0, 0), abs=12)
    assert right == pytest.approx((0, 0, 150), abs=12)


def shipped(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def test_what_a_workflow_learns_from_is_shown() -> None:
    """Six frames: of one clip, two of each of three, or three of a clip and of an image."""
    caption, frames = learned_from(shipped("sample-base-motion-director"))
    assert (caption, len(frames)) == ("the clip", 6)
    caption, frames = learned_from(shipped("sample-base-several-clips"))
    assert (caption, len(frames)) == ("the clips", 6)
    assert frames[0] != frames[1] and frames[1] != frames[2]
    caption, frames = learned_from(shipped("sample-base-image-animation"))
    assert caption == "the clip and the image"
    assert frames[0] != frames[2] and frames[3] == frames[5]
