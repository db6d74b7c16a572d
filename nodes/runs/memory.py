"""How much of the accelerator's memory a training will take, before it starts.

In: a base, a method and its settings, the clips' sizes. Out: bytes, and what to say of them.
Weights and what is trained are counted and certain. What a step keeps for its backward pass is
estimated, and an estimate refuses nothing: it warns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...motion_core.backbones.base import Backbone, latent_shape, pixel_shape
from ...motion_core.bases import BaseDefaults
from ...motion_core.errors import MotionError
from ...motion_core.methods.base import Method
from ...motion_core.training.settings import TrainSettings
from ...motion_core.types import Clip, LatentClip

GIB = 2**30
# float32: the parameter, its gradient and AdamW's two moments; all but the gradient are saved.
TRAINED_BYTES, SAVED_BYTES = 16, 12
FAR_BEYOND = 4  # times the base's area: twice its width and height
KEPT_STATES = 3  # the last two, and the one being written


@dataclass(frozen=True, kw_only=True)
class MemoryNeed:
    """Bytes on the device: of the frozen weights, of what is trained and its optimiser (both
    counted), and of a step's activations (estimated). saved: on the disk, of the run's states.
    what: the clip, in words. advice: what would lower them.
    """

    weights: int
    trained: int
    activations: int
    saved: int
    what: str
    advice: str

    @property
    def beside_weights(self) -> int:
        return self.trained + self.activations


def memory_need(
    backbone: Backbone,
    method: Method,
    settings: TrainSettings,
    clips: Sequence[LatentClip],
    dtype: torch.dtype,
) -> MemoryNeed:
    """What a training takes. clips: of which only shapes are read. dtype: of the frozen weights."""
    network, largest = backbone.network, max((clip.latents for clip in clips), key=Tensor.numel)
    cells = math.prod(largest.shape[2:]) * settings.noise_draws
    frames, height, width = pixel_shape(backbone, largest)
    trained = sum(method.trained(backbone, clips).values())
    return MemoryNeed(
        weights=sum(weight.numel() for weight in network.parameters()) * dtype.itemsize,
        trained=trained * TRAINED_BYTES,
        activations=backbone.training_bytes(cells, dtype, settings.keeps),
        saved=trained * SAVED_BYTES * KEPT_STATES,
        what=f"{frames} frames of {width}x{height}",
        advice=_advice(method, settings, dtype),
    )


def unencoded(backbone: Backbone, clip: Clip) -> LatentClip:
    """The clip as the network will see it, without its values: shapes on the meta device."""
    frames, _, height, width = clip.frames.shape
    prompt_width = int(backbone.text.model.config.hidden_size)
    return LatentClip(
        latents=torch.empty(latent_shape(backbone, frames, height, width), device="meta"),
        prompt_embeds=torch.empty(1, 1, prompt_width, device="meta"),
        prompt=clip.prompt,
        fps=clip.fps,
        digest="",
        source=clip.source,
        video=clip.video,
    )


def check_certain(need: MemoryNeed, total: int) -> None:
    """Raises MotionError if weights and trained state alone, of which nothing is estimated, are
    more than the device has in all.
    """
    if need.weights + need.trained > total:
        raise MotionError(
            f"The base's weights take {_gb(need.weights)} and the trained parts "
            f"{_gb(need.trained)} before the first frame; the device has {_gb(total)}. "
            f"{need.advice}"
        )


def warning_of(need: MemoryNeed, free: int) -> str | None:
    """What to tell where the estimate is more than what is free beside the weights; None where it
    is not.
    """
    if need.beside_weights <= free:
        return None
    return (
        f"Training on {need.what} needs an estimated {_gb(need.beside_weights)} of memory in "
        f"addition to the weights; {_gb(free)} are free. Training will be attempted. If it runs "
        f"out of memory: {need.advice}"
    )


def size_warning_of(clips: Sequence[Clip], base: BaseDefaults) -> str | None:
    """What to tell of a clip that is far larger than what the base is made for; None without one.

    The time of a step grows with the area, that of attention with its square.
    """
    largest = max(clips, key=lambda clip: clip.frames.shape[2] * clip.frames.shape[3])
    height, width = largest.frames.shape[2:]
    times = height * width / (base.height * base.width)
    if times <= FAR_BEYOND:
        return None
    return (
        f"{largest.source} has {width}x{height} pixels, {times:.0f} times as many as the "
        f"{base.width}x{base.height} that {base.name} is made for. Each step takes at least "
        f"{times:.0f} times as long and as much memory. Set width and height in Motion Clip to "
        f"{base.width} and {base.height}."
    )


def disk_warning_of(need: MemoryNeed, free: int) -> str | None:
    """What to tell where the run's states have no room on the disk."""
    if need.saved <= free:
        return None
    return (
        f"The checkpoints for resuming take up to {_gb(need.saved)} on disk; {_gb(free)} are "
        "free. With save_every = 0 there is only one, at the end."
    )


def _advice(method: Method, settings: TrainSettings, dtype: torch.dtype) -> str:
    """Only what is not chosen already, the most helpful first."""
    steps = []
    if settings.keeps != "inputs":
        steps.append("memory = low")
    steps += method.lighter
    if dtype.itemsize > 2:
        steps.append("precision = bf16")
    if settings.noise_draws > 1:
        steps.append("fewer noise_draws")
    steps.append("fewer frames or a smaller size in Motion Clip")
    return f"Use {', or '.join(steps)}."


def _gb(amount: int) -> str:
    return f"{amount / GIB:.1f} GB"
