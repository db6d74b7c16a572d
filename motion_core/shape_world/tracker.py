"""Follows the one object of a shape world clip from pixels alone.

Input: frames (F, 3, H, W) in [-1, 1]. Output: (F, 3) x, y and equivalent radius in pixels, NaN
where nothing is found, and the mask of the object in every frame.

Objects are saturated and backgrounds are not, so the object is the largest connected region of high
saturation, with its holes filled.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from torch import Tensor

SATURATION = 0.28
SMALLEST_AREA = 20


class Sighting(NamedTuple):
    """What the tracker saw in one frame. mask: (H, W) bool, filled."""

    x: float
    y: float
    radius: float
    mask: np.ndarray


def to_images(frames: Tensor) -> np.ndarray:
    """(F, 3, H, W) in [-1, 1] to (F, H, W, 3) in [0, 1]."""
    return ((frames.detach().float().cpu().clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1).numpy()


def find_object(image: np.ndarray) -> Sighting | None:
    """Finds the object in one (H, W, 3) image in [0, 1]; None where no region is saturated and
    large enough."""
    saturated = (image.max(axis=2) - image.min(axis=2) > SATURATION).astype(np.uint8)
    closed = cv2.morphologyEx(saturated, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = [
        cv2.drawContours(np.zeros_like(closed), [contour], -1, 1, cv2.FILLED)
        for contour in contours
    ]
    mask = max(filled, key=lambda candidate: int(candidate.sum()), default=None)
    if mask is None or mask.sum() < SMALLEST_AREA:
        return None
    rows, columns = np.nonzero(mask)
    return Sighting(
        x=float(columns.mean() + 0.5),
        y=float(rows.mean() + 0.5),
        radius=float(np.sqrt(mask.sum() / np.pi)),
        mask=mask.astype(bool),
    )


def track(frames: Tensor) -> np.ndarray:
    """(F, 3) x, y, radius in pixels of every frame of a clip; a row of NaN where no object is
    found."""
    rows = []
    for image in to_images(frames):
        seen = find_object(image)
        rows.append((seen.x, seen.y, seen.radius) if seen else (np.nan,) * 3)
    return np.array(rows)
