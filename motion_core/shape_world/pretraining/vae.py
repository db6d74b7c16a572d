"""Trains the tiny `AutoencoderKL` (4 latent channels, factor 8) that both bases share.

Loss: L1, weighted towards saturated pixels (the object covers under a tenth of a frame; unweighted, colours merge),
plus a light KL term that keeps the latents smooth. Most steps see small crops, the last see whole frames, because
group normalisation depends on what else is in view.
"""

from __future__ import annotations

import logging
import time

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from ..networks import build_vae
from .data import image_batch
from .schedule import one_cycle

log = logging.getLogger(__name__)

CROP_STEPS = 3200
FULL_STEPS = 1200
BATCH = 32
LEARNING_RATE = 2e-3
KL_WEIGHT = 1e-3


def reconstruction_loss(decoded: Tensor, pixels: Tensor) -> Tensor:
    """L1 with every pixel weighted 1 + 4 x its saturation (largest minus smallest channel, in [0, 1])."""
    saturation = (pixels.amax(1, keepdim=True) - pixels.amin(1, keepdim=True)) / 2
    return ((1 + 4 * saturation) * (decoded - pixels).abs()).mean()


def train_vae(seed: int) -> tuple[AutoencoderKL, dict[str, object]]:
    """Returns the trained autoencoder, its scaling_factor set to 1/std of the latents, and a record of the run."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    vae = build_vae()
    optimizer = torch.optim.AdamW(vae.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    total = CROP_STEPS + FULL_STEPS
    history: list[float] = []
    start = time.monotonic()
    for step in range(total):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * one_cycle(step, total)
        pixels, _ = image_batch(
            rng, BATCH if step < CROP_STEPS else BATCH // 2, look=None, camera=True
        )
        if step < CROP_STEPS:
            top, left = rng.integers(0, 33, 2)
            pixels = pixels[:, :, top : top + 32, left : left + 32]
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(pixels).latent_dist
            decoded = vae.decode(posterior.sample()).sample
        kl = (
            0.5
            * (
                posterior.mean.float() ** 2 + posterior.var.float() - 1 - posterior.logvar.float()
            ).mean()
        )
        loss = reconstruction_loss(decoded.float(), pixels) + KL_WEIGHT * kl
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        history.append(float(loss.detach()))
        if step % 200 == 199:
            log.info(
                "vae step %d loss %.4f kl %.2f %.0f s",
                step + 1,
                np.mean(history[-200:]),
                float(kl.detach()),
                time.monotonic() - start,
            )
    pixels, _ = image_batch(rng, 256, look=None)
    with torch.no_grad():
        latents = vae.encode(pixels).latent_dist.mean
    vae.register_to_config(scaling_factor=1.0 / float(latents.std()))
    return vae, {
        "steps": total,
        "loss": float(np.mean(history[-200:])),
        "seconds": time.monotonic() - start,
    }
