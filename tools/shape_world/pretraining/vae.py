"""Trains the tiny `AutoencoderKL` (4 latent channels, factor 8) that both bases share.

Loss: L1, weighted towards saturated pixels (the object covers under a tenth of a frame;
unweighted, colours merge), plus a light KL term that keeps the latents smooth. The decoder sees
latents with noise on top, so that what must be told apart lies apart in them: without it all
colours lie on one line, green a tenth of its length from cyan. Three stages, each with a
learning-rate cycle of its own: random crops, crops around the object, whole frames (group
normalisation depends on what else is in view).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from motion_core.shape_world.motions import SIZE
from motion_core.shape_world.networks import build_vae
from motion_core.shape_world.renderer import Scene

from .data import image_batch
from .schedule import one_cycle

log = logging.getLogger(__name__)

CROP = 32
KL_WEIGHT = 1e-3
MOST_NOISE = 0.7
"""Share of the latents' standard deviation."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """view: "crop" anywhere, "object" for crops around the object, "whole" frames."""

    view: str
    steps: int
    batch: int
    learning_rate: float


STAGES = (
    Stage(view="crop", steps=4400, batch=32, learning_rate=2e-3),
    Stage(view="object", steps=2200, batch=32, learning_rate=1.5e-3),
    Stage(view="whole", steps=900, batch=16, learning_rate=8e-4),
)


def train_vae(seed: int) -> tuple[AutoencoderKL, dict[str, object]]:
    """Returns the trained autoencoder, its scaling_factor set to 1/std of the latents, and a
    record of the run."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    vae = build_vae()
    start = time.monotonic()
    losses = [_train_stage(vae, stage, rng) for stage in STAGES]
    pixels, _ = image_batch(rng, 256)
    with torch.no_grad():
        latents = vae.encode(pixels, return_dict=False)[0].mean
    vae.register_to_config(scaling_factor=1.0 / float(latents.std()))
    return vae, {
        "steps": [stage.steps for stage in STAGES],
        "loss": losses,
        "seconds": round(time.monotonic() - start),
    }


def _train_stage(vae: AutoencoderKL, stage: Stage, rng: np.random.Generator) -> float:
    """Runs one stage and returns the mean loss of its last 200 steps."""
    optimizer = torch.optim.AdamW(vae.parameters(), lr=stage.learning_rate, weight_decay=1e-4)
    losses: list[float] = []
    for step in range(stage.steps):
        for group in optimizer.param_groups:
            group["lr"] = stage.learning_rate * one_cycle(step, stage.steps)
        pixels, scenes = image_batch(rng, stage.batch, look=None, camera=True)
        loss = _loss(vae, _viewed(pixels, scenes, stage.view, rng))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if step % 200 == 199:
            log.info("vae %s step %d loss %.4f", stage.view, step + 1, np.mean(losses[-200:]))
    return float(np.mean(losses[-200:]))


def _viewed(pixels: Tensor, scenes: list[Scene], view: str, rng: np.random.Generator) -> Tensor:
    if view == "whole":
        return pixels
    if view == "crop":
        top, left = rng.integers(0, SIZE - CROP + 1, 2)
        return pixels[:, :, top : top + CROP, left : left + CROP]
    corners = [
        scene.track.on_screen()[0, :2] - CROP / 2 + rng.uniform(-10, 10, 2) for scene in scenes
    ]
    places = np.clip(np.round(corners), 0, SIZE - CROP).astype(int)
    crops = [
        image[:, top : top + CROP, left : left + CROP]
        for image, (left, top) in zip(pixels, places, strict=True)
    ]
    return torch.stack(crops)


def _loss(vae: AutoencoderKL, pixels: Tensor) -> Tensor:
    """L1, each pixel weighted 1 + 4 x its saturation (largest minus smallest channel, in [0, 1]),
    plus the KL."""
    with torch.autocast("cpu", torch.bfloat16):
        posterior = vae.encode(pixels, return_dict=False)[0]
        latents: Any = posterior.sample()
        strength = MOST_NOISE * latents.std().detach() * torch.rand(len(latents), 1, 1, 1)
        noisy = latents + strength * torch.randn_like(latents)
        decoded = vae.decode(noisy, return_dict=False)[0]
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    saturation = (pixels.amax(1, keepdim=True) - pixels.amin(1, keepdim=True)) / 2
    return ((1 + 4 * saturation) * (decoded.float() - pixels).abs()).mean() + KL_WEIGHT * kl
