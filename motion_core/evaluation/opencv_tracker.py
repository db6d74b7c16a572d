"""Tracklets with OpenCV alone: corners, followed by pyramidal Lucas-Kanade there and back.

Input: frames (F, 3, H, W) in [-1, 1]. Output: `Tracklets`. It needs no weights and takes about a
second for a clip; CoTracker, which the papers use, follows points through occlusion too.

Corners are taken from several frames (what enters later is followed as well) and followed to both
ends of the clip. A step counts only if following it back leads to where it began.

A plain object that moves fast over a textured background is followed badly: corners of what it
uncovers stick to its edge for a few frames. Scores are then nearer to 0 than they should be.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from torch import Tensor

from ..video.writing import to_bytes
from .tracklets import Tracklets

SIDE = 256
"""All videos are brought to this shorter side, in pixels, so that their sizes do not count."""
SOURCES = 4
"""Frames from which corners are taken."""
CORNERS = 200
"""Corners of one frame and one colour channel, at most."""
THERE_AND_BACK = 1.0
"""Pixels between a point and where following it to the next frame and back leads, at most."""
_WINDOW = (15, 15)
_LEVELS = 4


def track(frames: Tensor) -> Tracklets:
    """Tracklets of a clip of frames (F, 3, H, W) in [-1, 1], F at least 2; none in flat ones."""
    images = [_resized(image) for image in to_bytes(frames)]
    found = [
        _followed(images, start)
        for start in sorted({round(k * (len(images) - 1) / (SOURCES - 1)) for k in range(SOURCES)})
    ]
    points = np.concatenate([points for points, _ in found])
    seen = np.concatenate([seen for _, seen in found])
    return Tracklets(points=points / SIDE, seen=seen)


def _resized(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    scale = SIDE / min(height, width)
    shrinks = scale < 1
    size = (round(width * scale), round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _corners(image: np.ndarray) -> np.ndarray:
    """(N, 2) corners of any of the three colours: a red object may be as bright as what is behind
    it."""
    found = [
        cv2.goodFeaturesToTrack(
            np.ascontiguousarray(channel), CORNERS, qualityLevel=0.02, minDistance=5, blockSize=7
        )
        for channel in np.moveaxis(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), 2, 0)
    ]
    corners = [points.reshape(-1, 2) for points in found if points is not None]
    return np.concatenate(corners) if corners else np.zeros((0, 2), np.float32)


def _followed(images: list[np.ndarray], start: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, F, 2) positions in pixels of the corners of frame `start`, and (N, F) where they are
    still followed."""
    corners = _corners(images[start])
    points = np.repeat(corners[:, None], len(images), axis=1)
    seen = np.zeros(points.shape[:2], bool)
    seen[:, start] = True
    for order in (range(start, len(images)), range(start, -1, -1)):
        for before, after in itertools.pairwise(order):
            points[:, after], good = _step(images[before], images[after], points[:, before])
            seen[:, after] = seen[:, before] & good
    return points, seen


def _step(
    before: np.ndarray, after: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where points (N, 2) of one image are in another one, and whether the way back leads home."""
    if len(points) == 0:
        return points, np.zeros(0, bool)
    there, found, _ = _flow(before, after, points)
    back, found_back, _ = _flow(after, before, there)
    close = np.linalg.norm(back - points, axis=1) < THERE_AND_BACK
    height, width = after.shape[:2]
    inside = (there >= 0).all(axis=1) & (there <= (width - 1, height - 1)).all(axis=1)
    return there, found.ravel().astype(bool) & found_back.ravel().astype(bool) & close & inside


def _flow(
    before: np.ndarray, after: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    start = np.ascontiguousarray(points, np.float32)
    return cv2.calcOpticalFlowPyrLK(
        before,
        after,
        start,
        None,  # type: ignore[arg-type]  # OpenCV makes it; the stubs do not know
        winSize=_WINDOW,
        maxLevel=_LEVELS,
    )
