"""The losses of the four methods: latents in, a float32 scalar out; nothing is kept.

All tensors are (B, C, F, h, w), in any floating dtype; the arithmetic is float32. Losses are means
over all elements. Papers: MotionDirector (ECCV 2024), Sec. 3.3. Reference: showlab/MotionDirector
0146a50, MotionDirector_train.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..diffusion.noise import draw_noise

Anchor = Literal["random", "first"]


def mse(model_pred: Tensor, target: Tensor) -> Tensor:
    """The diffusion loss, MotionDirector Eq. 1: mean of (model_pred - target)²."""
    return F.mse_loss(model_pred.float(), target.float())


def debias(values: Tensor, anchors: Tensor, beta: float) -> Tensor:
    """φ of MotionDirector Eq. 5 on each frame i: sqrt(β² + 1)·x_i − β·x_anchor.

    values: (B, C, F, h, w). anchors: (B,) int64, the anchor frame of each video. beta: at least 0;
    larger takes away more of what the frames share, and 0 takes nothing. Returns float32 of the
    same shape.
    """
    return math.sqrt(beta**2 + 1) * values.float() - beta * frames_at(values, anchors).float()


def debiased_mse(model_pred: Tensor, target: Tensor, anchors: Tensor, beta: float) -> Tensor:
    """The appearance-debiased temporal loss, MotionDirector Eq. 6; both sides share each video's
    anchor frame.
    """
    return F.mse_loss(debias(model_pred, anchors, beta), debias(target, anchors, beta))


def draw_anchors(shape: Sequence[int], anchor: Anchor, rng: torch.Generator) -> Tensor:
    """(B,) int64: the anchor frame of each video of latents of this shape (B, C, F, h, w)."""
    videos, frames = shape[0], shape[2]
    if anchor == "first":
        return torch.zeros(videos, dtype=torch.int64)
    return torch.randint(frames, (videos,), generator=rng)


def debiased_loss(
    model_pred: Tensor, target: Tensor, rng: torch.Generator, *, anchor: Anchor, beta: float
) -> Tensor:
    """MotionDirector Eq. 7, Eq. 1 and Eq. 6 together, with one anchor frame a video."""
    anchors = draw_anchors(model_pred.shape, anchor, rng)
    return mse(model_pred, target) + debiased_mse(model_pred, target, anchors, beta)


def with_offset(model_pred: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """ε̂ + s·η, with one η ~ N(0, 1) for each position (h, w) of a video, the same in all channels
    and frames: the appearance-independent temporal loss of JointTuner (Chen et al., arXiv
    2503.23951, with s = 1) compares it with the target. Reference: fdchen24/JointTuner 3843027,
    examples/ZeroScope/train.py, finetune_unet.

    In the mean over η the plain loss grows by s² and its gradient stays as it is: what η adds to
    a step's gradient is noise on what channels and frames have in common, in which differences of
    frames have no part. model_pred: (B, C, F, h, w). Returns float32.

    Deviation: the official code also multiplies the loss by 10, which AdamW undoes.
    """
    size = (len(model_pred), 1, 1, *model_pred.shape[3:])
    return model_pred.float() + strength * draw_noise(size, rng, model_pred.device)


def frames_at(values: Tensor, frames: Tensor) -> Tensor:
    """(B, C, 1, h, w): one frame of each video. frames: (B,) int64 in [0, F)."""
    index = frames.to(values.device, non_blocking=True).view(-1, 1, 1, 1, 1)
    return values.gather(2, index.expand(-1, values.shape[1], 1, *values.shape[3:]))
