"""What is taken off a motion embedding's values before they are applied, so that motion stays and
appearance goes. Paper: Motion Inversion (SIGGRAPH 2025, arXiv 2403.20193), Eq. 5; the ablations of
Sec. 4.3.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Debias = Literal["difference", "drop_value", "normalise", "none"]


def debiased(values: Tensor, debias: Literal["difference", "normalise", "none"]) -> Tensor:
    """m̃ of Eq. 5 along the frames: m̃_1 = m_1, m̃_j = m_j − m_{j−1}; or, for the ablations of
    Sec. 4.3, m minus its mean over the frames, or m.

    values: (h, w, N, C). Returns the same shape.
    """
    if debias == "none":
        return values
    if debias == "normalise":
        return values - values.mean(dim=2, keepdim=True)
    return torch.cat([values[:, :, :1], values.diff(dim=2)], dim=2)
