"""The optimiser's part of a training step: backward, clipping, stepping, and fp16's loss scale.

In: the parameter groups of a method and the training's settings. A step is one call of `backward`
for each loss term, then `clip_gradients`, then `step`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.amp.grad_scaler import GradScaler
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from ..errors import TrainingError
from ..methods.base import LossTerm
from ..methods.parts import ParameterGroup
from .settings import TrainSettings, learning_rate_factor


class Stepper:
    """An AdamW for each parameter group.

    done, in its methods: optimiser steps done before; errors name the one that follows.
    """

    def __init__(
        self,
        *,
        groups: Mapping[str, ParameterGroup],
        settings: TrainSettings,
        device: torch.device,
    ) -> None:
        self.groups, self.settings, self.device = groups, settings, device
        self.optimisers = {
            name: AdamW(
                group.parameters,
                lr=_rate(group, settings),
                betas=(0.9, 0.999),
                weight_decay=group.weight_decay
                if settings.weight_decay is None
                else settings.weight_decay,
            )
            for name, group in groups.items()
        }
        self.base_rates = {n: o.param_groups[0]["lr"] for n, o in self.optimisers.items()}
        self.scaler = GradScaler(device.type, enabled=settings.precision == "fp16")

    def autocast(self) -> AbstractContextManager[Any]:
        """For the forward alone, as torch asks for."""
        if self.settings.precision == "fp32" or self.device.type != "cuda":
            return nullcontext()
        return torch.autocast("cuda", self.settings.dtype_on(self.device))

    def backward(self, term: LossTerm, done: int) -> float:
        """Adds the term's gradients to its group's; returns the loss. Raises TrainingError if it is
        not finite.
        """
        value = term.value.item()
        if not math.isfinite(value):
            raise _not_finite(f"the loss {term.name!r} is {value}", done)
        scaled: torch.Tensor = self.scaler.scale(term.value / self.settings.accumulation)
        scaled.backward(inputs=list(self.groups[term.group].parameters))
        return value

    def clip_gradients(self, names: Collection[str], done: int) -> float:
        """The norm of these groups' gradients together, before clipping. Raises TrainingError if it
        is not finite, but where fp16's scaler skips the step.
        """
        squares = 0.0
        for name in sorted(names):
            self.scaler.unscale_(self.optimisers[name])
            limit = self.settings.max_grad_norm or math.inf
            norm = float(clip_grad_norm_(self.groups[name].parameters, limit))
            skipped = self.scaler.is_enabled() and self.scaler.get_scale() > 1.0
            if not math.isfinite(norm) and not skipped:
                raise _not_finite(f"the gradient of {name!r} is {norm}", done)
            squares += norm**2
        return math.sqrt(squares)

    def step(self, names: Collection[str], done: int) -> float:
        """Steps these groups; returns the largest of their learning rates."""
        factor = learning_rate_factor(self.settings, done)
        for name in sorted(names):
            optimiser = self.optimisers[name]
            optimiser.param_groups[0]["lr"] = self.base_rates[name] * factor
            self.scaler.step(optimiser)
            optimiser.zero_grad(set_to_none=True)
        self.scaler.update()
        return max(self.base_rates[name] * factor for name in names)


def _rate(group: ParameterGroup, settings: TrainSettings) -> float:
    """The training's learning rate, unless it names none or the group keeps its own."""
    if group.keeps_rate or settings.learning_rate is None:
        return group.learning_rate
    return settings.learning_rate


def _not_finite(what: str, done: int) -> TrainingError:
    return TrainingError(
        f"In step {done + 1} {what}. Lower the learning rate, set max_grad_norm to 1, use bf16 or "
        "fp32, or check the clips; the last checkpoint is kept."
    )
