"""The motions of shape world: what a base has seen, and what it has to learn from a reference clip.

Input: a motion's name (and a `numpy` generator for the base motions, which vary). Output: a
`Track`, the exact trajectory, radius and camera of every frame, in pixels of a 64x64 frame.

Base motions (still, straight lines, slow arcs, gentle waves) are drawn at random and go into
pretraining. Reference motions (zigzag, bounce, figure eight, spiral, grow and shrink, camera pan
and zoom) are fixed curves and never shown to a base.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

FRAMES = 16
SIZE = 64
CENTRE = SIZE / 2
MARGIN = 14.0

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Track:
    """The truth of one clip. All arrays have one row a frame; lengths in pixels.

    positions: (F, 2) x right, y down, in the world before the camera. radii: (F,). pan: (F, 2).
    zoom: (F,).
    """

    positions: Array
    radii: Array
    pan: Array
    zoom: Array

    def on_screen(self) -> Array:
        """(F, 3) x, y and radius as the camera sees them: what a perfect tracker would report."""
        xy = (self.positions - CENTRE) * self.zoom[:, None] + CENTRE + self.pan
        return np.concatenate([xy, (self.radii * self.zoom)[:, None]], axis=1)


def _track(
    x: Array,
    y: Array | float,
    radius: Array | float,
    pan_x: Array | float = 0.0,
    zoom: Array | float = 1.0,
) -> Track:
    frames = len(np.atleast_1d(x))
    spread = lambda value: np.broadcast_to(np.asarray(value, dtype=np.float64), (frames,)).copy()  # noqa: E731
    pan = np.stack([spread(pan_x), np.zeros(frames)], axis=1)
    return Track(
        positions=np.stack([spread(x), spread(y)], axis=1),
        radii=spread(radius),
        pan=pan,
        zoom=spread(zoom),
    )


def _placed(path: Array, rng: np.random.Generator) -> Array:
    """Moves a (F, 2) path, drawn around anything, to a random place where all of it stays in the
    frame."""
    low, high = path.min(axis=0), path.max(axis=0)
    room = np.maximum(SIZE - 2 * MARGIN - (high - low), 0.0)
    return path - low + MARGIN + rng.uniform(0, 1, 2) * room


_DIRECTIONS = {"right": 0.0, "down": 90.0, "left": 180.0, "up": 270.0}


def _turned(path: Array, degrees: float) -> Array:
    """A path that leads to the right, turned clockwise (y points down)."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return path @ np.array([[cos, sin], [-sin, cos]])


def _still(rng: np.random.Generator) -> tuple[str, Array]:
    return "resting", np.zeros((FRAMES, 2))


def _line(rng: np.random.Generator) -> tuple[str, Array]:
    name = str(rng.choice(list(_DIRECTIONS)))
    distance = np.linspace(0, rng.uniform(26, 36), FRAMES)
    path = np.stack([distance, np.zeros(FRAMES)], axis=1)
    return f"moving {name}", _turned(path, _DIRECTIONS[name] + rng.uniform(-8, 8))


def _arc(rng: np.random.Generator) -> tuple[str, Array]:
    """Half a circle over the middle of its way, as wide as the frame allows."""
    name = str(rng.choice(list(_DIRECTIONS)))
    angles = np.linspace(np.pi, 2 * np.pi, FRAMES)
    path = rng.uniform(13, 18) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return f"gliding {name} along an arc", _turned(path, _DIRECTIONS[name])


def _wave(rng: np.random.Generator) -> tuple[str, Array]:
    """One period of a sine along a straight way, always beginning in its middle."""
    name = str(rng.choice(list(_DIRECTIONS)))
    time = np.linspace(0, 1, FRAMES)
    path = np.stack([rng.uniform(28, 36) * time, rng.uniform(4, 7) * np.sin(2 * np.pi * time)], 1)
    return f"drifting {name} in a gentle wave", _turned(path, _DIRECTIONS[name])


BASE_MOTIONS: dict[str, Callable[[np.random.Generator], tuple[str, Array]]] = {
    "still": _still,
    "line": _line,
    "arc": _arc,
    "wave": _wave,
}


def draw_base_motion(rng: np.random.Generator, name: str | None = None) -> tuple[str, Track]:
    """Draws a base motion: its caption phrase and its track; radius constant, 10 to 14 pixels,
    camera at rest."""
    name = name or str(rng.choice(list(BASE_MOTIONS), p=[0.1, 0.34, 0.28, 0.28]))
    phrase, path = BASE_MOTIONS[name](rng)
    path = _placed(path, rng)
    return phrase, _track(path[:, 0], path[:, 1], rng.uniform(10, 14))


def _zigzag(time: Array) -> Track:
    triangle = 2 * np.abs(2 * (2 * time % 1) - 1) - 1
    return _track(14 + 36 * time, CENTRE + 15 * triangle, 11.0)


def _bounce(time: Array) -> Track:
    """Under gravity: dropped from y = 15, off the floor (y = 50) at a quarter and at three
    quarters of the clip."""
    fall = (2 * time + 0.5) % 1
    return _track(50 - 36 * time, 50 - 35 * 4 * fall * (1 - fall), 11.0)


def _figure_eight(time: Array) -> Track:
    angle = 2 * np.pi * time
    return _track(CENTRE + 18 * np.sin(angle), CENTRE + 13 * np.sin(2 * angle), 11.0)


def _spiral(time: Array) -> Track:
    angle, radius = 2 * np.pi * 1.75 * time, 3 + 16 * time
    return _track(CENTRE + radius * np.cos(angle), CENTRE + radius * np.sin(angle), 11.0)


def _grow_and_shrink(time: Array) -> Track:
    return _track(np.full_like(time, CENTRE), CENTRE, 7 + 9 * np.sin(np.pi * time))


def _camera_pan(time: Array) -> Track:
    return _track(np.full_like(time, CENTRE), CENTRE, 11.0, pan_x=18 * np.sin(2 * np.pi * time))


def _camera_zoom(time: Array) -> Track:
    return _track(np.full_like(time, 37.0), 35.0, 10.0, zoom=1.1 - 0.5 * np.cos(2 * np.pi * time))


REFERENCE_MOTIONS: dict[str, tuple[str, Callable[[Array], Track]]] = {
    "zigzag": ("zigzagging", _zigzag),
    "bounce": ("bouncing", _bounce),
    "figure-eight": ("looping in a figure eight", _figure_eight),
    "spiral": ("spinning outwards in a spiral", _spiral),
    "grow-and-shrink": ("growing and shrinking", _grow_and_shrink),
    "camera-pan": ("filmed by a panning camera", _camera_pan),
    "camera-zoom": ("filmed by a zooming camera", _camera_zoom),
}


def reference_motion(name: str) -> tuple[str, Track]:
    """The caption phrase and exact track of a reference motion of `REFERENCE_MOTIONS`."""
    phrase, curve = REFERENCE_MOTIONS[name]
    return phrase, curve(np.linspace(0, 1, FRAMES))
