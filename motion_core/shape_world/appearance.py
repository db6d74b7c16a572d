"""Tells colour, shape, background and look of a shape world clip from pixels alone.

Input: frames (F, 3, H, W) in [-1, 1]. Output: an `Appearance`, the majority over the frames.

Colour: nearest palette colour to the object's saturated pixels. Shape: the renderer's shape of the
same place and area that overlaps the object's mask most. Background: nearest of the renderer's
backgrounds in what does not change with the texture's phase (quantiles of brightness, mean colour,
strength of gradients along and across).
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from torch import Tensor

from .motions import SIZE
from .renderer import BACKGROUNDS, COLOURS, LOOKS, PERIOD, SHAPES, backdrop, shape_distance
from .tracker import Sighting, find_object, to_images

NOTHING = "nothing"


class Appearance(NamedTuple):
    """Words of shape world, or "nothing" where no object was found, or no background around one
    that fills the picture. look: "solid" or "outlined".
    """

    colour: str
    shape: str
    background: str
    look: str


def _colour(image: np.ndarray, seen: Sighting) -> str:
    pixels = image[seen.mask]
    saturation = pixels.max(axis=1) - pixels.min(axis=1)
    core = np.median(pixels[saturation >= np.quantile(saturation, 0.75)], axis=0)
    return min(COLOURS, key=lambda name: float(np.linalg.norm(core - np.array(COLOURS[name]))))


def _overlap(shape: str, seen: Sighting) -> float:
    """Best intersection over union of the mask with the shape, over a few places and sizes around
    the mask's."""
    grid = np.arange(SIZE) + 0.5
    best = 0.0
    unit_area = {"circle": np.pi, "square": 3.24, "triangle": 2.694, "cross": 2.666}[shape]
    radius = np.sqrt(seen.mask.sum() / unit_area)
    lift = -0.24 * radius if shape == "triangle" else 0.0
    for scale in (0.93, 1.0, 1.07):
        for shift in (-1.0, 0.0, 1.0):
            dx, dy = np.meshgrid(grid - seen.x, grid - seen.y - lift - shift)
            inside = shape_distance(shape, dx, dy, radius * scale) < 0
            union = np.logical_or(inside, seen.mask).sum()
            best = max(best, float(np.logical_and(inside, seen.mask).sum() / union))
    return best


def _background_features(image: np.ndarray, keep: np.ndarray) -> np.ndarray:
    grey = image.mean(axis=2)
    gx, gy = np.abs(np.diff(grey, axis=1)), np.abs(np.diff(grey, axis=0))
    gradients = [gx[keep[:, 1:] & keep[:, :-1]].mean(), gy[keep[1:] & keep[:-1]].mean()]
    quantiles = np.quantile(grey[keep], [0.05, 0.25, 0.5, 0.75, 0.95])
    return np.concatenate([quantiles, image[keep].mean(axis=0), 3 * np.array(gradients)])


@lru_cache
def _known_backgrounds() -> dict[tuple[str, str], np.ndarray]:
    """Mean features of each background in each look, over 16 phases of its texture."""
    phases = [(i * PERIOD / 4, j * PERIOD / 4) for i in range(4) for j in range(4)]
    everywhere = np.ones((SIZE, SIZE), dtype=bool)
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    known = {}
    for look in LOOKS:
        for name in BACKGROUNDS:
            images = [backdrop(name, look, x + px, y + py) for px, py in phases]
            features = [_background_features(image, everywhere) for image in images]
            known[look, name] = np.mean(features, axis=0)
    return known


def _background(image: np.ndarray, seen: Sighting) -> tuple[str, str]:
    """Look and background: the outlined look's backgrounds differ from all solid ones."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    keep = np.hypot(columns - seen.x, rows - seen.y) > 1.8 * seen.radius + 2
    if not (keep[1:, 1:] & keep[1:, :-1] & keep[:-1, 1:]).any():
        return NOTHING, NOTHING
    features = _background_features(image, keep)
    known = _known_backgrounds()
    return min(known, key=lambda key: float(np.linalg.norm(features - known[key])))


def recognise_frame(image: np.ndarray) -> Appearance:
    """What one (64, 64, 3) image in [0, 1] shows."""
    seen = find_object(image)
    if seen is None:
        return Appearance(NOTHING, NOTHING, NOTHING, NOTHING)
    look, background = _background(image, seen)
    shape = max(SHAPES, key=lambda name: _overlap(name, seen))
    return Appearance(_colour(image, seen), shape, background, look)


def recognise(frames: Tensor) -> Appearance:
    """What a clip shows, each word by majority over its frames."""
    votes = [recognise_frame(image) for image in to_images(frames)]
    return Appearance(*(Counter(words).most_common(1)[0][0] for words in zip(*votes, strict=True)))
