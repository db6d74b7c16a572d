"""How long and how to train; what is trained, on which losses, belongs to the method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..errors import SettingsError
from ..settings import Settings, setting

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class TrainSettings(Settings):
    """The optimiser's settings, the batches, and what is written while training."""

    steps: int = setting(
        150,
        main=True,
        low=1,
        widget_high=100000,
        source="MotionDirector's configs/config_single_video.yaml, at 384x384 and 16 frames",
        help="Training steps. More learns the motion better at first, then the clip's appearance.",
    )
    learning_rate: float | None = setting(
        None,
        main=True,
        low=0,
        widget_high=1,
        step=1e-6,
        widget_none=0.0,
        none="takes the method's own, or the base's",
        help="How far each step goes. Lower it if the loss jumps or samples fall apart.",
    )
    weight_decay: float | None = setting(
        None,
        low=0,
        widget_high=1,
        step=1e-4,
        widget_none=-1.0,
        none="takes the method's own",
        help="Pulls trained weights towards 0 in each step.",
    )
    warmup_steps: int = setting(
        0,
        low=0,
        widget_high=10000,
        label="warm-up steps",
        help="Steps in which the learning rate rises from 0; steadies high rates.",
    )
    lr_schedule: Literal["constant", "cosine"] = setting(
        "constant",
        label="learning rate schedule",
        help="The learning rate after that: constant (the run can be made longer later), or down "
        "to 0 along half a cosine.",
    )
    max_grad_norm: float | None = setting(
        None,
        above=0,
        widget_high=100,
        step=0.1,
        widget_none=0.0,
        none="cuts nothing",
        label="maximum gradient norm",
        help="Cuts larger gradients of a parameter group down to this norm, against outliers; 1 is "
        "common.",
    )
    accumulation: int = setting(
        1,
        low=1,
        widget_high=64,
        label="gradient accumulation",
        help="Batches a step, each of the next clip: steadier steps that take so many times as "
        "long, at no more memory.",
    )
    noise_draws: int = setting(
        1,
        low=1,
        widget_high=16,
        label="noise draws per step",
        help="Draws of noise of one clip in a batch: steadier steps, for so many times the memory "
        "and time.",
    )
    min_timestep: int = setting(
        0,
        low=0,
        widget_high=999,
        label="lowest timestep",
        help="The lowest noise level that is trained, 0 (all) to 999: motion is decided where "
        "there is much noise.",
    )
    seed: int = setting(
        0,
        main=True,
        low=0,
        high=2**63 - 1,
        help="Of the noise and the order in training, and of the samples: the same seed, the same "
        "adapter (on a CPU).",
    )
    precision: Precision = setting(
        "fp32",
        main=True,
        help="Of the frozen weights; what is trained is always fp32. bf16 and fp16 halve the "
        "memory. fp16 trains on CUDA only.",
    )
    checkpointing: bool = setting(
        True,
        main=True,
        source="the official configs",
        help="Compute blocks again in the backward pass: much less memory for about a third more "
        "time.",
    )
    save_every: int = setting(
        50,
        main=True,
        low=0,
        widget_high=100000,
        help="Steps between checkpoints that a run can be resumed from if it is killed; 0 saves at "
        "the end and when it is cancelled only. The last two are kept.",
    )
    sample_every: int = setting(
        0,
        main=True,
        low=0,
        widget_high=100000,
        help="Steps between sample videos while training; 0 makes none before the end. Each takes "
        "as long as making a video does.",
    )

    def dtype_on(self, device: torch.device) -> torch.dtype:
        """The frozen weights' dtype; raises SettingsError as `dtype_on` does."""
        return dtype_on(self.precision, device)


def dtype_on(precision: str, device: torch.device) -> torch.dtype:
    """A precision's dtype; raises SettingsError where it does not run on the device."""
    import torch  # heavy, and the command line reads the settings for its help

    if precision == "fp16" and device.type != "cuda":
        raise SettingsError(
            f"precision is 'fp16' on {device.type}; it runs on CUDA only. Use fp32 or bf16."
        )
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


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
