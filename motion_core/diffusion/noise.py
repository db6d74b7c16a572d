"""Noise to train on and to start from: fresh, and the noise prior.

Latents and noise are (B, C, F, h, w).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import MotionError
from ..settings import require


def draw_noise(
    shape: Sequence[int],
    rng: torch.Generator,
    device: torch.device | str,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Standard normal noise, drawn on the generator's device and then moved.

    With a CPU generator, one seed means the same noise on every device. Nobody waits for the copy.
    """
    noise = torch.randn(tuple(shape), generator=rng, device=rng.device, dtype=torch.float32)
    return noise.to(device=device, dtype=dtype, non_blocking=True)


def blend_noise_prior(inverted: Tensor, noise: Tensor, p: float) -> Tensor:
    """The noise prior z_T = sqrt(p)·z_inv + sqrt(1−p)·n of MotionDirector (arXiv 2310.08465).

    inverted: the reference's inverted latents; noise: of the same shape. p: in [0, 1]; 0 gives
    `noise`, 1 gives `inverted`. If both have unit variance, so has the result. Raises SettingsError
    on p, MotionError on the shape.

    Deviation: the official code resizes inverted latents of another size bilinearly, which lowers
    their variance below that of noise; here they are refused.
    """
    require(0.0 <= p <= 1.0, "noise_prior", p, "a number from 0 (fresh noise) to 1 (inverted)")
    if inverted.shape != noise.shape:
        raise MotionError(
            f"Inverted latents have shape {tuple(inverted.shape)}; expected {tuple(noise.shape)} "
            "(batch, channels, frames, height, width in latent cells). Sample at the size "
            "and number of frames at which the clip was inverted."
        )
    return p**0.5 * inverted.to(noise) + (1.0 - p) ** 0.5 * noise
