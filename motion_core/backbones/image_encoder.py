"""ψ: what an image looks like, as a vector.

In: frames (F, 3, H, W) in [-1, 1]. Out: embeddings (F, V) of unit length by the image tower of a
CLIP. MoTrans (ACM MM 2024), Sec. 4.1, takes OpenCLIP ViT-H/14's, V = 1024; shape world's bases have
their own, V = 64. The paper does not say whether the embeddings are normalised; here they are, so
that one learning rate does for every encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FRAMES_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class ImageEncoder:
    """tower: open_clip's, from (N, 3, size, size) to (N, V). mean, std: of its training's pixels,
    which go from 0 to 1.
    """

    tower: nn.Module
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @torch.inference_mode(False)
    @torch.no_grad()
    def embed(self, frames: Tensor) -> Tensor:
        """(F, V) float32 on the CPU, each of length 1. frames: (F, 3, H, W) in [-1, 1]; of oblong
        ones the middle square is seen.
        """
        first = next(self.tower.parameters())
        parts = [
            self.tower(self._seen(part).to(first.device, first.dtype)).to("cpu", torch.float32)
            for part in frames.split(FRAMES_AT_ONCE)
        ]
        return F.normalize(torch.cat(parts), dim=-1)

    def _seen(self, frames: Tensor) -> Tensor:
        """The middle square, resized to the tower's size, in its range."""
        height, width = frames.shape[2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = frames[:, :, top : top + side, left : left + side].to("cpu", torch.float32)
        if side != self.size:
            square = F.interpolate(
                square, (self.size, self.size), mode="bicubic", antialias=True, align_corners=False
            )
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (self.mean, self.std))
        return ((square.clamp(-1, 1) + 1) / 2 - mean) / std


@dataclass(frozen=True, kw_only=True)
class OwnImageEncoder:
    """The image encoder that a base brings along. load: reads it. width: V of its embeddings."""

    load: Callable[[], ImageEncoder]
    width: int
