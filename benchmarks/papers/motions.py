"""The motions that are measured: shape world's references, and two that are held out.

No setting was tuned on the held-out ones, and neither the demo nor any test trains on them: they
are rendered for this benchmark alone. They were chosen before any method had seen them: one
goes back and forth along a curve, the other mixes what is said by place with what is said by size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from motion_core.shape_world.motions import CENTRE, FRAMES, REFERENCE_MOTIONS, Array, Track
from motion_core.shape_world.references import WORN, reference
from motion_core.shape_world.renderer import Scene
from motion_core.shape_world.scores import Subject


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """phrase: of its captions. curve: from times in [0, 1] to x, y and radius in pixels. worn: who
    wears it in the reference clip.
    """

    phrase: str
    curve: Callable[[Array], tuple[Array, Array, Array]]
    worn: Subject

    def scene(self) -> Scene:
        x, y, radii = self.curve(np.linspace(0, 1, FRAMES))
        track = Track(
            positions=np.stack([x, y], axis=1),
            radii=radii,
            pan=np.zeros((FRAMES, 2)),
            zoom=np.ones(FRAMES),
        )
        return Scene(
            shape=self.worn.shape,
            colour=self.worn.colour,
            background=self.worn.background,
            phrase=self.phrase,
            track=track,
        )


def _pendulum(time: Array) -> tuple[Array, Array, Array]:
    """One and a half swings of a thread of 26 pixels, from 0.9 radians on, ending at 0.63."""
    angle = 0.9 * (1 - 0.3 * time) * np.cos(3 * np.pi * time)
    return CENTRE + 26 * np.sin(angle), 12 + 26 * np.cos(angle), np.full_like(time, 10.0)


def _heartbeat(time: Array) -> tuple[Array, Array, Array]:
    """Two beats on the way from the lower left to the upper right."""
    return 18 + 28 * time, 46 - 28 * time, 10 + 4 * np.sin(4 * np.pi * time)


HELD_OUT: Mapping[str, HeldOut] = {
    "pendulum": HeldOut(
        phrase="swinging like a pendulum",
        curve=_pendulum,
        worn=Subject(colour="pink", shape="cross", background="striped"),
    ),
    "heartbeat": HeldOut(
        phrase="beating like a heart on its way",
        curve=_heartbeat,
        worn=Subject(colour="green", shape="square", background="black"),
    ),
}
MOTIONS = (*REFERENCE_MOTIONS, *HELD_OUT)


def scene_of(motion: str) -> Scene:
    """The scene of a motion's clip: of a reference, or of one that is held out."""
    return HELD_OUT[motion].scene() if motion in HELD_OUT else reference(motion)


def worn_in(motion: str) -> Subject:
    """Who is seen in that clip."""
    return HELD_OUT[motion].worn if motion in HELD_OUT else WORN[motion]
