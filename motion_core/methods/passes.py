"""The passes that several methods share: which forwards a step has, and what their losses train.

In: a backbone, what is made of a method's groups, and a batch. Out: one LossTerm a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence

import torch
from torch import Tensor

from ..backbones.base import Backbone
from ..types import Batch
from .appearance import dropped, single_frame_term
from .base import LossTerm, Passes
from .noisy_latents import NoisyLatents, draw_noisy_latents
from .parts import ParameterGroup, training
from .preservation import frozen_branch, preserving

Loss = Callable[[Tensor, Tensor], Tensor]


def one_pass(
    backbone: Backbone, groups: Mapping[str, ParameterGroup], group: str, loss: Loss
) -> Passes:
    """All frames of a clip in one forward, whose loss trains one group.

    loss: from prediction and target (B, C, F, h, w) to a scalar; its term has the group's name.
    """

    def passes(batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        drawn = draw_noisy_latents(backbone, batch.latents, rng, min_timestep=batch.min_timestep)
        yield from _all_frames(backbone, groups, batch, drawn, group=group, loss=loss)

    return passes


def appearance_then_motion(
    backbone: Backbone,
    groups: Mapping[str, ParameterGroup],
    batch: Batch,
    rng: torch.Generator,
    *,
    spatial: str,
    dropout_p: float,
    loss: Loss,
) -> Generator[LossTerm, None, None]:
    """One frame trains the clip's spatial LoRA; then all frames, with that LoRA on and frozen,
    train the group "temporal". Both are of the same noisy latents; an image has the first alone.

    spatial: the LoRA's group; a method without it has the second pass alone. dropout_p: how often
    a step on a video goes without it. loss: as for `one_pass`, of the second pass.

    Deviation: MotionDirector's code runs both forwards before either backward; here the spatial
    graph is freed first.
    """
    drawn = draw_noisy_latents(backbone, batch.latents, rng, min_timestep=batch.min_timestep)
    moves = batch.latents.shape[2] > 1
    beside = () if spatial not in groups or (moves and dropped(dropout_p, rng)) else (spatial,)
    if beside:
        with training(groups, spatial):
            yield single_frame_term(backbone, drawn, batch.prompt_embeds, spatial, rng)
    if moves:
        yield from _all_frames(
            backbone, groups, batch, drawn, group="temporal", loss=loss, beside=beside
        )


def _all_frames(
    backbone: Backbone,
    groups: Mapping[str, ParameterGroup],
    batch: Batch,
    drawn: NoisyLatents,
    *,
    group: str,
    loss: Loss,
    beside: Sequence[str] = (),
) -> Generator[LossTerm, None, None]:
    """The pass that trains a group on a video, held to the base as far as the batch asks for it."""
    embeds, weight = batch.prompt_embeds, batch.base_preservation
    base_pred = frozen_branch(backbone, groups, drawn, embeds, weight, beside)
    with training(groups, group, beside):
        pred = backbone.predict(drawn.latents, drawn.timesteps, embeds)
        value = preserving(loss(pred, drawn.target), pred, base_pred, weight)
        yield LossTerm(group, value, group)
