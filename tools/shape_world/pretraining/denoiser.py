"""The one loop that trains every denoiser of shape world: image UNet, motion module and UNet3D.

v-prediction on a schedule with zero terminal SNR: with noise prediction on Stable Diffusion's own
schedule a network this small reads colour and background off the last step's leaking signal and
ignores the text.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn

from motion_core.backbones.schedules.ddim import DdimSchedule
from motion_core.backbones.text import TextEncoder

from .latents import Drawn
from .schedule import one_cycle

log = logging.getLogger(__name__)

EMA_DECAY = 0.998
EMPTY_PROMPTS = 0.1
SLOW = 0.15

Draw = Callable[[np.random.Generator], Drawn]
Predict = Callable[[Tensor, Tensor, Tensor], Tensor]
Auxiliary = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class DenoiserRun:
    """How long and how fast one denoiser is trained."""

    name: str
    steps: int
    learning_rate: float
    seed: int


def train_denoiser(
    run: DenoiserRun,
    module: nn.Module,
    predict: Predict,
    draw: Draw,
    text: TextEncoder,
    scheduler: DDIMScheduler,
    slow: Collection[str] = (),
    auxiliary: Auxiliary | None = None,
) -> dict[str, object]:
    """Trains those parameters of `module` that require gradients, in place, and leaves their
    moving average.

    predict(noisy latents, timesteps (B,), prompt_embeds (B, L, D)) returns the model's output.
    slow: names of parameters that are trained already, and go on at 0.15 times the learning rate.
    auxiliary: called after each forward as `predict` is, with the noisy latents of `Drawn.beside`
    where there are some, gives a loss to add. Returns a record, of the diffusion loss alone.
    """
    torch.manual_seed(run.seed)
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    factors = [SLOW if name in slow else 1.0 for name, _ in named]
    parameters = [parameter for _, parameter in named]
    average = [copy.deepcopy(p.detach()) for p in parameters]
    groups = [{"params": [p], "factor": f} for p, f in zip(parameters, factors, strict=True)]
    optimizer = torch.optim.AdamW(groups, lr=run.learning_rate, weight_decay=1e-3)
    losses: list[float] = []
    start = time.monotonic()
    for step, drawn in enumerate(_batches(run, draw)):
        for group in optimizer.param_groups:
            group["lr"] = run.learning_rate * group["factor"] * one_cycle(step, run.steps)
        prompt_embeds = text.encode(drawn.prompts)
        loss, added = _losses(predict, auxiliary, drawn, prompt_embeds, scheduler)
        optimizer.zero_grad()
        (loss + added).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        decay = min(EMA_DECAY, (step + 1) / (step + 10))
        torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - decay)
        losses.append(loss.item())
        if step % 100 == 99:
            seconds = time.monotonic() - start
            log.info(
                "%s step %d loss %.4f %.0f s", run.name, step + 1, np.mean(losses[-100:]), seconds
            )
    with torch.no_grad():
        for parameter, value in zip(parameters, average, strict=True):
            parameter.copy_(value)
    return {
        "steps": run.steps,
        "learning_rate": run.learning_rate,
        "loss": float(np.mean(losses[-200:])),
        "seconds": round(time.monotonic() - start),
    }


def _batches(run: DenoiserRun, draw: Draw) -> Iterator[Drawn]:
    """Training batches; one prompt in ten is emptied, which is what guidance needs."""
    rng = np.random.default_rng(run.seed)
    for _ in range(run.steps):
        drawn = draw(rng)
        prompts = ["" if rng.random() < EMPTY_PROMPTS else prompt for prompt in drawn.prompts]
        yield drawn._replace(prompts=prompts)


def _losses(
    predict: Predict,
    auxiliary: Auxiliary | None,
    drawn: Drawn,
    prompt_embeds: Tensor,
    scheduler: DDIMScheduler,
) -> tuple[Tensor, Tensor]:
    """The v-prediction loss, weighted, and the auxiliary one."""
    latents, noise = drawn.latents, torch.randn_like(drawn.latents)
    timesteps = torch.randint(0, len(scheduler.alphas_cumprod), (len(latents),))
    schedule = DdimSchedule(scheduler)
    noisy = schedule.noised(latents, noise, timesteps)
    target = schedule.target(latents, noise, timesteps)
    errors = (predict(noisy, timesteps, prompt_embeds) - target) ** 2
    loss = (drawn.weights * errors).mean() / drawn.weights.mean()
    if auxiliary is None:
        return loss, torch.zeros(())
    if drawn.beside is not None:
        noisy = schedule.noised(drawn.beside, noise, timesteps)
    return loss, auxiliary(noisy, timesteps, prompt_embeds)
