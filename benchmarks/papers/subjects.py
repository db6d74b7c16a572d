"""Whom the benchmark asks for: subjects of its own, on which no setting was chosen.

The demo's subjects and those that settings were tuned on are not among them.
"""

from __future__ import annotations

from motion_core.shape_world.references import WORN
from motion_core.shape_world.scores import Subject

POOL = tuple(
    Subject(colour=colour, shape=shape, background=background)
    for colour, shape, background in (
        ("green", "cross", "dotted"),
        ("pink", "square", "black"),
        ("yellow", "triangle", "white"),
        ("cyan", "triangle", "striped"),
        ("purple", "cross", "grey"),
        ("orange", "square", "grey"),
        ("blue", "square", "striped"),
        ("pink", "cross", "white"),
        ("yellow", "cross", "striped"),
        ("green", "square", "white"),
        ("purple", "square", "dotted"),
        ("cyan", "triangle", "grey"),
        ("blue", "circle", "black"),
        ("purple", "circle", "white"),
        ("green", "circle", "grey"),
        ("red", "triangle", "black"),
        ("pink", "circle", "striped"),
        ("red", "cross", "striped"),
        ("cyan", "circle", "black"),
        ("orange", "circle", "striped"),
    )
)


def subjects_for(motion: str, count: int) -> tuple[Subject, ...]:
    """The first subjects of the pool that share neither colour, shape nor background with the
    wearer of the reference motion, so that each of them can show a leak.
    """
    worn = WORN[motion]
    other = [
        one
        for one in POOL
        if one.colour != worn.colour
        and one.shape != worn.shape
        and one.background != worn.background
    ]
    assert count <= len(other), (motion, count)
    return tuple(other[:count])
