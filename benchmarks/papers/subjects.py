"""Whom the benchmark asks for: subjects of its own, on which no setting was chosen.

The demo's subjects and those that settings were tuned on are not among them; those tuned on are
what the further clips of a motion show.
"""

from __future__ import annotations

import random
from itertools import product

from motion_core.cli.demo_run import SUBJECTS
from motion_core.shape_world.references import WORN
from motion_core.shape_world.renderer import BACKGROUNDS, COLOURS, SHAPES
from motion_core.shape_world.scores import Subject

from .motions import worn_in


def _subject(words: tuple[str, str, str]) -> Subject:
    colour, shape, background = words
    return Subject(colour=colour, shape=shape, background=background)


DEVELOPMENT = tuple(
    _subject(words)
    for words in (
        ("blue", "cross", "white"),
        ("yellow", "square", "black"),
        ("purple", "triangle", "striped"),
        ("cyan", "square", "dotted"),
        ("pink", "triangle", "grey"),
        ("orange", "cross", "black"),
        ("green", "square", "striped"),
        ("blue", "triangle", "white"),
    )
)
"""On these, settings were tuned."""


def subjects_for(motion: str, count: int) -> tuple[Subject, ...]:
    """The first subjects, in an order drawn once for all, that share neither colour, shape nor
    background with the wearer of the reference motion, so that each of them can show a leak.
    """
    worn, taken = worn_in(motion), {*DEVELOPMENT, *SUBJECTS}
    everyone = [_subject(words) for words in product(COLOURS, SHAPES, BACKGROUNDS)]
    random.Random(0).shuffle(everyone)
    other = [
        one
        for one in everyone
        if one not in taken
        and one.colour != worn.colour
        and one.shape != worn.shape
        and one.background != worn.background
    ]
    assert count <= len(other), (motion, count, len(other))
    return tuple(other[:count])


def others_of(motion: str) -> dict[str, Subject]:
    """Who wears each other reference motion, by motion."""
    return {name: worn for name, worn in WORN.items() if name != motion}


def wearers_for(motion: str, count: int) -> tuple[Subject, ...]:
    """Who wears the motion in each of `count` clips: the reference's own wearer, then others who
    are never asked for.
    """
    everyone = [worn_in(motion), *DEVELOPMENT, *SUBJECTS]
    assert count <= len(everyone), count
    return tuple(dict.fromkeys(everyone))[:count]
