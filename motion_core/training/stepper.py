"""The optimiser's part of a training step: backward, clipping, stepping, and fp16's loss scale.

In: the parameter groups of a method and the training's settings. A step is one call of `backward`
for each loss term, then `clip_gradients`, `checked` and `step`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
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
                # On a GPU one launch steps them all, and the loss scale is not waited for.
                fused=device.type == "cuda" or None,
                weight_decay=group.weight_decay
                if settings.weight_decay is None
                else settings.weight_decay,
            )
            for name, group in groups.items()
        }
        self.base_rates = {n: o.param_groups[0]["lr"] for n, o in self.optimisers.items()}
        self.scaler = GradScaler(device.type, enabled=settings.precision == "fp16")

    def autocast(self) -> AbstractContextManager[Any]:
        """For the forward alone, as torch asks for; of float16, whose range is too short for norms.

        A base in bfloat16 computes in it throughout: what is trained casts its own products.
        """
        if self.settings.precision != "fp16" or self.device.type != "cuda":
            return nullcontext()
        return torch.autocast("cuda", torch.float16)

    def backward(self, term: LossTerm) -> Tensor:
        """Adds the term's gradients to its group's; returns the loss, which stays on the device."""
        scaled: Tensor = self.scaler.scale(term.value / self.settings.accumulation)
        scaled.backward(inputs=list(self.groups[term.group].parameters))
        return term.value.detach()

    def clip_gradients(self, names: Collection[str]) -> dict[str, Tensor]:
        """The norm of each of these groups' gradients, before clipping, on the device."""
        norms: dict[str, Tensor] = {}
        for name in sorted(names):
            self.scaler.unscale_(self.optimisers[name])
            limit = self.settings.max_grad_norm or math.inf
            norms[name] = clip_grad_norm_(self.groups[name].parameters, limit)
        return norms

    def checked(
        self, terms: Sequence[tuple[str, Tensor]], norms: Mapping[str, Tensor], done: int
    ) -> tuple[dict[str, float], float]:
        """Each loss, a mean over its terms, and the norm of all gradients together.

        It waits for the device, the only time in a step. Raises TrainingError if a loss is not
        finite, or a norm, but where fp16's scaler skips the step.
        """
        on_device = [value.float() for value in (*(value for _, value in terms), *norms.values())]
        values = torch.stack(on_device).tolist()
        losses: dict[str, list[float]] = {}
        for (name, _), value in zip(terms, values, strict=False):
            if not math.isfinite(value):
                raise _not_finite(f"the loss {name!r} is {value}", done)
            losses.setdefault(name, []).append(value)
        lengths = values[len(terms) :]
        skipped = self.scaler.is_enabled() and self.scaler.get_scale() > 1.0
        for name, length in zip(norms, lengths, strict=True):
            if not math.isfinite(length) and not skipped:
                raise _not_finite(f"the gradient of {name!r} is {length}", done)
        means = {name: sum(several) / len(several) for name, several in losses.items()}
        return means, math.sqrt(sum(length**2 for length in lengths))

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
