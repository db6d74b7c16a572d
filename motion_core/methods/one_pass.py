"""The simplest pass: all frames of a clip in one forward, whose loss trains one group.

In: a backbone and what is made of a method's groups. Out: the passes of a method that has no other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping

import torch
from torch import Tensor

from ..backbones.base import Backbone
from ..types import Batch
from .base import LossTerm, Passes
from .noisy_latents import draw_noisy_latents
from .parts import ParameterGroup, training

Loss = Callable[[Tensor, Tensor], Tensor]


def one_pass(
    backbone: Backbone, groups: Mapping[str, ParameterGroup], group: str, loss: Loss
) -> Passes:
    """loss: from prediction and target (B, C, F, h, w) to a scalar; its term has the group's
    name.
    """

    def passes(batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        noisy, timesteps, target = draw_noisy_latents(
            backbone, batch.latents, rng, min_timestep=batch.min_timestep
        )
        with training(groups, group):
            pred = backbone.predict(noisy, timesteps, batch.prompt_embeds)
            yield LossTerm(group, loss(pred, target), group)

    return passes
