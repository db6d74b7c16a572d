"""How long and how to train; what is trained, on which losses, belongs to the method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

from ..errors import SettingsError
from ..settings import require

Precision = Literal["fp32", "bf16", "fp16"]

DTYPES: dict[str, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Raises SettingsError on a value out of range.

    steps: optimiser steps. learning_rate: None or 0 is the method's own; weight_decay: None is the
    method's own. warmup_steps: linear rise from 0. lr_schedule: then constant, or half a cosine
    down to 0. max_grad_norm: of each parameter group; None does not clip. accumulation: batches a
    step, each of the next clip. noise_draws: draws of noise and timestep of one clip in a batch.
    min_timestep: the lowest that is drawn (0, the least noise, to below the schedule's number):
    motion is decided where there is much noise.
    seed: 0 to 2^63 − 1.
    precision: of the frozen weights; trained ones are float32. checkpointing: recompute blocks in
    backward, less memory for more time. save_every, sample_every: in steps, 0 is never (a run is
    always saved at its end).
    """

    steps: int = (
        150  # MotionDirector, official configs/config_single_video.yaml: 384x384, 16 frames
    )
    learning_rate: float | None = None
    weight_decay: float | None = None
    warmup_steps: int = 0
    lr_schedule: Literal["constant", "cosine"] = "constant"
    max_grad_norm: float | None = None
    accumulation: int = 1
    noise_draws: int = 1
    min_timestep: int = 0
    seed: int = 0
    precision: Precision = "fp32"
    checkpointing: bool = True  # as in the official configs
    save_every: int = 50
    sample_every: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "accumulation", "noise_draws"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("save_every", "sample_every", "warmup_steps", "min_timestep"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "at least 0")
        require(0 <= self.seed < 2**63, "seed", self.seed, "0 to 2^63 - 1")
        rate, decay, norm = self.learning_rate, self.weight_decay, self.max_grad_norm
        require(rate is None or 0 <= rate < math.inf, "learning_rate", rate, "0 or more, or None")
        require(decay is None or 0 <= decay < math.inf, "weight_decay", decay, "0 or more, or None")
        require(norm is None or norm > 0, "max_grad_norm", norm, "more than 0, or None")
        known = ("constant", "cosine")
        require(self.lr_schedule in known, "lr_schedule", self.lr_schedule, " or ".join(known))
        require(self.precision in DTYPES, "precision", self.precision, " or ".join(DTYPES))

    def dtype_on(self, device: torch.device) -> torch.dtype:
        """The frozen weights' dtype; raises SettingsError as `dtype_on` does."""
        return dtype_on(self.precision, device)


def dtype_on(precision: str, device: torch.device) -> torch.dtype:
    """A precision's dtype; raises SettingsError where it does not run on the device."""
    if precision == "fp16" and device.type != "cuda":
        raise SettingsError(
            f"precision is 'fp16' on {device.type}; it runs on CUDA only. Use fp32 or bf16."
        )
    return DTYPES[precision]


def learning_rate_factor(settings: TrainSettings, step: int) -> float:
    """What multiplies the learning rate in the step that follows `step` others.

    Warm-up: (step + 1) / warmup_steps. Then 1, or ½(1 + cos(π·p)), p the part done of the steps
    after the warm-up.
    """
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    if settings.lr_schedule == "constant":
        return 1.0
    part = (step - settings.warmup_steps) / (settings.steps - settings.warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * part))
