"""How long and how to train; what is trained, on which losses, belongs to the method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..errors import SettingsError
from ..settings import Settings, setting

if TYPE_CHECKING:
    import torch

    from ..backbones.base import Keeps

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
        help="Training steps. More steps learn the motion better at first, and later the clip's "
        "appearance.",
    )
    learning_rate: float | None = setting(
        None,
        main=True,
        above=0,
        widget_high=1,
        step=1e-6,
        help="Size of each training step. Lower it if the loss jumps or samples fall apart.",
    )
    weight_decay: float | None = setting(
        None,
        low=0,
        widget_high=1,
        step=1e-4,
        help="Pulls the trained weights towards 0 in each step.",
    )
    warmup_steps: int = setting(
        0,
        low=0,
        widget_high=10000,
        label="warm-up steps",
        source="MotionDirector_train.py, lr_warmup_steps",
        help="Steps during which the learning rate rises from 0; stabilises high rates.",
    )
    lr_schedule: Literal["constant", "cosine"] = setting(
        "constant",
        label="learning rate schedule",
        source="MotionDirector_train.py, lr_scheduler",
        help="The learning rate after the warm-up: constant (the run can be extended later), or "
        "cosine (falls to 0 along half a cosine).",
    )
    max_grad_norm: float | None = setting(
        None,
        above=0,
        widget_high=100,
        step=0.1,
        widget_none=0.0,
        none="cuts nothing",
        label="maximum gradient norm",
        source="MotionDirector_train.py cuts nothing",
        help="Clips the gradients of each parameter group to this norm, against outliers; 1 is "
        "common.",
    )
    accumulation: int = setting(
        1,
        low=1,
        widget_high=64,
        label="gradient accumulation",
        source="MotionDirector_train.py, gradient_accumulation_steps",
        help="Batches per step, each from the next clip: steadier steps; each takes that many "
        "times longer, with no extra memory.",
    )
    noise_draws: int = setting(
        1,
        low=1,
        widget_high=16,
        label="noise draws per step",
        source="MotionDirector_train.py, train_batch_size",
        help="Noise draws per clip in a batch: steadier steps, for that many times the memory "
        "and time.",
    )
    min_timestep: int = setting(
        0,
        low=0,
        widget_high=999,
        label="lowest timestep",
        source="MotionDirector_train.py: of all timesteps alike",
        help="The lowest noise level that is trained, 0 (all) to 999: motion is decided at high "
        "noise.",
    )
    base_preservation: float = setting(
        0.0,
        later=True,
        low=0,
        widget_high=10,
        step=0.01,
        source="not in the papers, but in MotionCrafter's, whose beta is 5: v2, Eq. 2",
        help="Holds what is learned of a video to what the base predicts without it, 0 (off) and "
        "up. Other trainers use 0.02 to 0.05; higher values keep more of the base's looks and "
        "learn less of the motion. Each step on a video takes one more forward pass.",
    )
    seed: int = setting(
        0,
        main=True,
        low=0,
        high=2**63 - 1,
        help="Determines the noise and the order of training, and the samples: the same seed "
        "gives the same adapter (on a CPU).",
    )
    precision: Precision = setting(
        "fp32",
        main=True,
        source="official configs, mixed_precision",
        official="fp16",
        reason="It runs on every device; ComfyUI's node takes bf16 or fp16 on a GPU.",
        help="Precision of the frozen weights; trained weights are always fp32. bf16 and fp16 "
        "halve the memory. fp16 only trains on CUDA.",
    )
    checkpointing: bool = setting(
        True,
        main=True,
        source="the official configs",
        help="Recompute blocks in the backward pass: much less memory for about a third more time.",
    )
    keep_outputs: bool = setting(
        True,
        main=True,
        source="counted: docs/speed.md",
        help="With checkpointing, keep the outputs of large convolutions and attention instead of "
        "computing them again: faster, for a little more memory.",
    )
    save_every: int = setting(
        50,
        main=True,
        source="MotionDirector's config_single_video.yaml, checkpointing_steps",
        low=0,
        widget_high=100000,
        help="Steps between checkpoints, from which a killed run can resume; 0 only saves at the "
        "end and when the run is cancelled. The last two are kept.",
    )
    sample_every: int = setting(
        0,
        main=True,
        low=0,
        widget_high=100000,
        reason="Four samples in a run, fewer where they would take more than half as long as the "
        "training.",
        help="Steps between sample videos during training; 0 generates none before the end. Each "
        "takes as long as generating a video.",
    )

    @property
    def keeps(self) -> Keeps:
        """What a step keeps for its backward pass."""
        if not self.checkpointing:
            return "all"
        return "outputs" if self.keep_outputs else "inputs"

    def dtype_on(self, device: torch.device) -> torch.dtype:
        """The frozen weights' dtype; raises SettingsError as `dtype_on` does."""
        return dtype_on(self.precision, device)


def dtype_on(precision: str, device: torch.device) -> torch.dtype:
    """A precision's dtype; raises SettingsError where it does not run on the device."""
    import torch  # heavy, and the command line reads the settings for its help

    if precision == "fp16" and device.type != "cuda":
        raise SettingsError(
            f"precision is 'fp16' on {device.type}, but fp16 only runs on CUDA. Use fp32 or bf16."
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
