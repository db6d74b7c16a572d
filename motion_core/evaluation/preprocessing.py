"""Frames as image models are fed them: the shorter side scaled, the middle cut out, normalised."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def centre_square(frames: Tensor, side: int) -> Tensor:
    """(F, 3, side, side) in [-1, 1] of frames (F, 3, H, W): bicubic with antialiasing, cut about
    the middle, as CLIP's own preprocessing does."""
    height, width = frames.shape[2:]
    scale = side / min(height, width)
    size = (max(side, int(height * scale)), max(side, int(width * scale)))
    if size != (height, width):
        frames = F.interpolate(frames, size, mode="bicubic", antialias=True).clamp(-1, 1)
    top, left = round((size[0] - side) / 2), round((size[1] - side) / 2)
    return frames[:, :, top : top + side, left : left + side]


def normalised(frames: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Frames (F, 3, H, W) in [-1, 1] as (x - mean) / std of their values in [0, 1]."""
    shift, scale = (torch.tensor(v, device=frames.device).view(1, 3, 1, 1) for v in (mean, std))
    return ((frames + 1) / 2 - shift) / scale
