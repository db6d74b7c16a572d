"""Brings a frame to the size that a clip is to have.

Input: (3, H, W) float32 in [-1, 1]. Output: the same layout and range at the wanted size. A frame
that has that size already comes back pixel for pixel; otherwise it is resampled bicubically,
antialiased where it shrinks.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from .settings import Fit


def target_size(
    source_height: int, source_width: int, height: int | None, width: int | None
) -> tuple[int, int]:
    """(height, width): as given, or nearest multiples of 8 of the source, or of its proportions if
    one is given.
    """
    if height is not None and width is not None:
        return height, width
    if width is not None:
        return _multiple_of_8(source_height * width / source_width), width
    if height is not None:
        return height, _multiple_of_8(source_width * height / source_height)
    return _multiple_of_8(source_height), _multiple_of_8(source_width)


def fit_frame(frame: Tensor, height: int, width: int, fit: Fit) -> Tensor:
    """The frame at (height, width): its middle ("crop"), the whole on black ("pad"), or stretched
    ("stretch").
    """
    source_height, source_width = frame.shape[1:]
    if fit == "stretch":
        return _resize(frame, height, width)
    ratios = (height / source_height, width / source_width)
    scale = max(ratios) if fit == "crop" else min(ratios)
    frame = _resize(frame, round(source_height * scale), round(source_width * scale))
    top, left = max(0, frame.shape[1] - height) // 2, max(0, frame.shape[2] - width) // 2
    frame = frame[:, top : top + height, left : left + width]
    missing_height, missing_width = height - frame.shape[1], width - frame.shape[2]
    above, before = missing_height // 2, missing_width // 2
    return F.pad(frame, (before, missing_width - before, above, missing_height - above), value=-1.0)


def _multiple_of_8(size: float) -> int:
    return max(8, int(size / 8 + 0.5) * 8)


def _resize(frame: Tensor, height: int, width: int) -> Tensor:
    """Bicubic kernels overshoot at edges; the result is cut back to [-1, 1]."""
    if frame.shape[1:] == (height, width):
        return frame
    resized = F.interpolate(
        frame[None].contiguous(), (max(1, height), max(1, width)), mode="bicubic", antialias=True
    )
    return resized[0].clamp(-1, 1)
