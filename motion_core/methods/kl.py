"""Three readings of D_KL(q_θ ‖ p_base), MotionCrafter's appearance normalisation.

In: the tuned network's prediction and the frozen base's, (B, C, F, h, w), in any floating dtype.
Out: a float32 scalar. The base's prediction gets no gradient. Paper: Zhang et al., "MotionCrafter"
(arXiv 2312.05288), Eq. 3 of v1, Eq. 2 of v2, which says "the KL divergence between the
distributions of the latent codes" and not of which distributions; there is no public code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

from .losses import mse

KlReading = Literal["gaussian_mse", "moment_gaussian", "softmax"]

_POSITIONS = (2, 3, 4)
_VARIANCE_FLOOR = 1e-6  # a prediction that is constant in a channel has variance 0


def gaussian_mse(model_pred: Tensor, base_pred: Tensor) -> Tensor:
    """Both branches' denoising steps as Gaussians of equal variance σ².

    D_KL = ‖μ − μ_base‖² / 2σ², and the means differ by a multiple of the predictions' difference:
    so it is their mean squared difference, with the factor dropped that DDPM's simple loss (arXiv
    2006.11239, Eq. 14) drops from the temporal loss too.
    """
    return mse(model_pred, base_pred.detach())


def moment_gaussian(model_pred: Tensor, base_pred: Tensor) -> Tensor:
    """Each channel of a video as a Gaussian of its mean m and variance v over (F, h, w).

    D_KL(N(m, v) ‖ N(m_b, v_b)) = ½·(ln(v_b / v) + (v + (m − m_b)²) / v_b − 1), the mean over videos
    and channels.
    """
    mean, variance = _moments(model_pred)
    base_mean, base_variance = _moments(base_pred.detach())
    ratio = (variance + (mean - base_mean).square()) / base_variance
    return (0.5 * ((base_variance / variance).log() + ratio - 1)).mean()


def softmax(model_pred: Tensor, base_pred: Tensor) -> Tensor:
    """Each channel of a video as a distribution over the positions (F, h, w), its softmax.

    D_KL = Σ q·(ln q − ln p), the mean over videos and channels.
    """
    log_q = model_pred.float().flatten(2).log_softmax(-1)
    log_p = base_pred.detach().float().flatten(2).log_softmax(-1)
    return (log_q.exp() * (log_q - log_p)).sum(-1).mean()


KL_READINGS: Mapping[KlReading, Callable[[Tensor, Tensor], Tensor]] = {
    "gaussian_mse": gaussian_mse,
    "moment_gaussian": moment_gaussian,
    "softmax": softmax,
}


def _moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, (B, C), float32."""
    variance, mean = torch.var_mean(values.float(), dim=_POSITIONS, correction=0)
    return mean, variance.clamp_min(_VARIANCE_FLOOR)
