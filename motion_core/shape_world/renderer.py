"""Draws shape world: coloured shapes over plain and textured backgrounds, anti-aliased, exact and
deterministic.

Input: a `Scene`. Output: (F, 64, 64, 3) float32 frames in [0, 1].

Shapes are signed distance functions; a pixel's coverage is 0.5 minus its distance to the edge,
clamped to [0, 1]. Two looks: `solid` (the bases), and `outlined`, ink around the shapes on
backgrounds of other tones (the personalised checkpoint, which stands for a community model with a
style of its own).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .motions import CENTRE, SIZE, Track, draw_base_motion, reference_motion

Array = np.ndarray

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.90, 0.08, 0.08),
    "orange": (1.00, 0.55, 0.00),
    "yellow": (0.95, 0.92, 0.10),
    "green": (0.10, 0.65, 0.15),
    "cyan": (0.05, 0.88, 0.92),
    "blue": (0.10, 0.20, 0.95),
    "purple": (0.55, 0.08, 0.75),
    "pink": (1.00, 0.35, 0.75),
}

# Two tones of each background, all of low saturation, so that a shape stands out.
BACKGROUNDS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "white": ((0.97, 0.96, 0.93), (0.97, 0.96, 0.93)),
    "black": ((0.10, 0.06, 0.20), (0.10, 0.06, 0.20)),
    "grey": ((0.42, 0.42, 0.45), (0.42, 0.42, 0.45)),
    "striped": ((0.88, 0.90, 0.90), (0.58, 0.62, 0.64)),
    "checkered": ((0.78, 0.72, 0.62), (0.42, 0.36, 0.30)),
    "dotted": ((0.20, 0.24, 0.24), (0.80, 0.84, 0.84)),
}
# The same in the outlined look: cool tones warm and warm ones cool, bright stays bright.
OUTLINED_BACKGROUNDS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "white": ((0.90, 0.94, 0.78), (0.90, 0.94, 0.78)),
    "black": ((0.02, 0.14, 0.13), (0.02, 0.14, 0.13)),
    "grey": ((0.60, 0.55, 0.44), (0.60, 0.55, 0.44)),
    "striped": ((0.95, 0.86, 0.74), (0.66, 0.56, 0.44)),
    "checkered": ((0.62, 0.72, 0.80), (0.28, 0.38, 0.46)),
    "dotted": ((0.30, 0.22, 0.14), (0.92, 0.82, 0.70)),
}
SHAPES = ("circle", "square", "triangle", "cross")
LOOKS = ("solid", "outlined")
PERIOD = 16.0
OUTLINE = 2.5
"""Width in pixels of the ink around an outlined shape."""
INK = (0.05, 0.04, 0.08)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One clip of shape world: what is seen, how it moves, and the phase (2 pixels) at which the
    texture starts."""

    shape: str
    colour: str
    background: str
    phrase: str
    track: Track
    phase: tuple[float, float] = (0.0, 0.0)
    look: str = "solid"

    @property
    def prompt(self) -> str:
        return caption(self.colour, self.shape, self.background, self.phrase)


def caption(colour: str, shape: str, background: str, phrase: str = "") -> str:
    """The words of shape world: "a red circle moving left on a striped background"."""
    article = "an" if colour[0] in "aeiou" else "a"
    return " ".join(f"{article} {colour} {shape} {phrase} on a {background} background".split())


def draw_scene(rng: np.random.Generator, look: str = "solid") -> Scene:
    """Draws a random scene with a base motion; textures start at phase 0."""
    phrase, track = draw_base_motion(rng)
    return Scene(
        shape=str(rng.choice(SHAPES)),
        colour=str(rng.choice(list(COLOURS))),
        background=str(rng.choice(list(BACKGROUNDS))),
        phrase=phrase,
        track=track,
        look=look,
    )


def reference_scene(
    motion: str, colour: str = "red", shape: str = "circle", background: str = "checkered"
) -> Scene:
    """The scene of a reference clip: a motion that no base has seen, worn by one subject."""
    phrase, track = reference_motion(motion)
    return Scene(shape=shape, colour=colour, background=background, phrase=phrase, track=track)


def shape_distance(shape: str, dx: Array, dy: Array, radius: Array) -> Array:
    """Signed distance in pixels to the edge of a shape of the given radius, negative inside; y
    points down."""
    if shape == "circle":
        return np.hypot(dx, dy) - radius
    if shape == "square":
        return np.maximum(np.abs(dx), np.abs(dy)) - 0.9 * radius
    if shape == "triangle":
        lower = dy - 0.24 * radius
        return np.maximum(np.abs(dx) * 0.866 - lower * 0.5, lower) - 0.72 * radius
    if shape == "cross":
        ax, ay, arm, width = np.abs(dx), np.abs(dy), 1.15 * radius, 0.34 * radius
        return np.minimum(np.maximum(ax - arm, ay - width), np.maximum(ax - width, ay - arm))
    raise ValueError(f"shape is {shape!r}; shape world has {', '.join(SHAPES)}")


def _texture(background: str, x: Array, y: Array) -> Array:
    """Share of the second tone at world coordinates, in [0, 1], anti-aliased over one pixel."""
    half = PERIOD / 2
    wave = lambda u: half / 2 - np.abs(u % PERIOD - half)  # noqa: E731  signed distance to a stripe's edge
    if background == "striped":
        return np.clip(wave(x + y) / np.sqrt(2) + 0.5, 0, 1)
    if background == "checkered":
        a, b = np.clip(wave(x) + 0.5, 0, 1), np.clip(wave(y) + 0.5, 0, 1)
        return a * (1 - b) + b * (1 - a)
    if background == "dotted":
        return np.clip(4.5 - np.hypot(x % PERIOD - half, y % PERIOD - half) + 0.5, 0, 1)
    return np.zeros_like(x)


def backdrop(background: str, look: str, x: Array, y: Array) -> Array:
    """The background's colours (..., 3) at world coordinates."""
    share = _texture(background, x, y)[..., None]
    tones = OUTLINED_BACKGROUNDS if look == "outlined" else BACKGROUNDS
    first, second = (np.array(tone) for tone in tones[background])
    return first * (1 - share) + second * share


def render(scene: Scene, frames: list[int] | None = None) -> Array:
    """Renders a scene (or only the given frames of it) to (F, 64, 64, 3) float32 in [0, 1]."""
    chosen = np.arange(len(scene.track.radii)) if frames is None else np.asarray(frames)
    x, y, radius = (column[:, None, None] for column in scene.track.on_screen()[chosen].T)
    zoom = scene.track.zoom[chosen][:, None, None]
    pan = scene.track.pan[chosen]
    grid = np.arange(SIZE) + 0.5
    world_x = (grid[None, None, :] - CENTRE - pan[:, :1, None]) / zoom + CENTRE + scene.phase[0]
    world_y = (grid[None, :, None] - CENTRE - pan[:, 1:, None]) / zoom + CENTRE + scene.phase[1]
    behind = backdrop(scene.background, scene.look, *np.broadcast_arrays(world_x, world_y))
    distance = shape_distance(scene.shape, grid[None, None, :] - x, grid[None, :, None] - y, radius)
    if scene.look == "outlined":
        ink = np.clip(0.5 - (distance - OUTLINE), 0, 1)[..., None]
        behind = behind * (1 - ink) + np.array(INK) * ink
    coverage = np.clip(0.5 - distance, 0, 1)[..., None]
    return (behind * (1 - coverage) + np.array(COLOURS[scene.colour]) * coverage).astype(np.float32)
