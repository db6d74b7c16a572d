"""Noise for training and sampling: timesteps, noisy latents, targets, and the noise prior.

Input and output are plain tensors: latents and noise (B, C, F, h, w), timesteps (B,) int64 in
[0, T). The schedule is read from a DDIMScheduler, which is never changed: diffusers' `add_noise`
moves the schedule's tensors to the latents' device and rounds them to the latents' dtype, both of
which are avoided here.

With ᾱ the schedule's cumulative product of alphas, z_t = sqrt(ᾱ_t)·z_0 + sqrt(1−ᾱ_t)·ε (DDPM, arXiv
2006.11239, Eq. 4). With zero terminal SNR (arXiv 2305.08891) ᾱ_{T−1} = 0: there z is noise alone, ε
is told by the input itself, and only v teaches the network anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from ..errors import FormatError, MotionError
from ..settings import require


def sample_timesteps(
    count: int, scheduler: DDIMScheduler, rng: torch.Generator, minimum: int = 0
) -> Tensor:
    """(count,) int64, each uniform over the training timesteps {minimum … T−1}, together spread
    evenly over them: a loss over several draws varies less than with independent ones
    (Kingma et al., "Variational Diffusion Models", 2021, Sec. I.1). On the generator's device.
    """
    total = int(scheduler.config["num_train_timesteps"])
    start = torch.rand((), generator=rng, device=rng.device)
    places = (start + torch.arange(count, device=rng.device) / count) % 1
    return (minimum + places * (total - minimum)).long().clamp(max=total - 1)


def draw_noise(
    shape: Sequence[int],
    rng: torch.Generator,
    device: torch.device | str,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Standard normal noise, drawn on the generator's device and then moved.

    With a CPU generator, one seed means the same noise on every device.
    """
    noise = torch.randn(tuple(shape), generator=rng, device=rng.device, dtype=torch.float32)
    return noise.to(device=device, dtype=dtype)


def add_noise(
    scheduler: DDIMScheduler, latents: Tensor, noise: Tensor, timesteps: Tensor
) -> Tensor:
    """The noisy latents z_t = sqrt(ᾱ_t)·z_0 + sqrt(1−ᾱ_t)·ε, in the dtype of `latents`."""
    signal, sigma = _signal_and_sigma(scheduler, latents, timesteps)
    return (signal * latents + sigma * noise).to(latents.dtype)


def prediction_target(
    scheduler: DDIMScheduler, latents: Tensor, noise: Tensor, timesteps: Tensor
) -> Tensor:
    """What the network should predict: ε, or v = sqrt(ᾱ_t)·ε − sqrt(1−ᾱ_t)·z_0.

    v is that of Salimans and Ho (arXiv 2202.00512, App. D). Raises FormatError where the schedule
    predicts something else, such as x0.
    """
    if prediction_type(scheduler) == "epsilon":
        return noise
    signal, sigma = _signal_and_sigma(scheduler, latents, timesteps)
    return (signal * noise - sigma * latents).to(latents.dtype)


def prediction_type(scheduler: DDIMScheduler) -> str:
    """Either "epsilon" or "v_prediction"; raises FormatError on any other type."""
    prediction = scheduler.config["prediction_type"]
    if prediction not in ("epsilon", "v_prediction"):
        raise FormatError(
            f"The base's schedule predicts {prediction!r}; expected 'epsilon' or 'v_prediction'. "
            "Load a base of one of these types."
        )
    return prediction


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


def _signal_and_sigma(
    scheduler: DDIMScheduler, latents: Tensor, timesteps: Tensor
) -> tuple[Tensor, Tensor]:
    """sqrt(ᾱ_t) and sqrt(1−ᾱ_t), float32, shaped (B, 1, …, 1) on the latents' device."""
    alphas = scheduler.alphas_cumprod.to(timesteps.device, torch.float32)[timesteps]
    alphas = alphas.to(latents.device).view(-1, *([1] * (latents.ndim - 1)))
    return alphas.sqrt(), (1.0 - alphas).sqrt()
