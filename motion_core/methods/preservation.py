"""Base preservation: what is trained is held to what the base predicts without it, whatever the
method.

In: a pass on all frames of a video. Out: L + w·mean (ε̂ - ε̂_base)², where ε̂_base is the frozen
branch: the same noisy latents under the same prompt, with the trained group switched off. Paper:
MotionCrafter (arXiv 2312.05288), the frozen branch of Sec. 3.2 and Eq. 2 and 3 of v2, there for its
own temporal modules with a weight β of 5. On other trainers' LoRAs weights of 0.02 to 0.05 are
usual; reference: AkaneTendo25/musubi-tuner 4e9945c, minimax_h3_train_network.py,
--h3_base_preservation_loss_weight.

What takes part beside the trained group, such as MotionDirector's LoRA for looks, is on in both
branches: held is the change that the trained group makes, and not what is known of the clip.
Deviation: the paper's branches have a template's prompt, with other looks than the clip's. Here it
is the pass's own, which every method has, as in the reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..backbones.base import Backbone
from .losses import mse
from .noisy_latents import NoisyLatents
from .parts import ParameterGroup, taking_part


def frozen_branch(
    backbone: Backbone,
    groups: Mapping[str, ParameterGroup],
    drawn: NoisyLatents,
    prompt_embeds: Tensor,
    weight: float,
    beside: Sequence[str] = (),
) -> Tensor | None:
    """ε̂_base (B, C, F, h, w) without a graph, to be asked for before the group is trained; None if
    the weight is 0, at no cost. prompt_embeds: (B, L, D). beside: see `training`.
    """
    if not weight:
        return None
    with taking_part(groups, beside), torch.no_grad():
        return backbone.predict(drawn.latents, drawn.timesteps, prompt_embeds)


def preserving(loss: Tensor, pred: Tensor, base_pred: Tensor | None, weight: float) -> Tensor:
    """loss + weight·mean (pred - base_pred)²; the loss itself if the weight is 0."""
    if not weight:
        return loss
    assert base_pred is not None
    return loss + weight * mse(pred, base_pred)
