"""VMC: temporal attention learns how neighbouring frames differ, and nothing else of the clip.

In: encoded clips, best under prompts without their background. Out: an adapter "temporal" of the
queries, keys and values of temporal attention, as full weights or a LoRA. Paper: Jeong, Park and
Ye, "VMC: Video Motion Customization using Temporal Attention Adaption", CVPR 2024 (arXiv
2312.00845): the motion vector δε_n = ε_{n+1} − ε_n, and Eq. 17, the cosine distance of predicted
and true ones. Read of it were the abstract and a summary that states these equations; the reference
for all else is HyeonHo99/Video-Motion-Customization 0d8779f, train_inference.py and configs/.

Deviation: the paper's base predicts ε. Where the base predicts v, motion vectors are v's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..adapters.base import Scope
from ..adapters.lora.training import LoraPlan
from ..adapters.weights.training import WeightsPlan
from ..backbones.base import Backbone
from ..settings import Settings, setting
from ..types import LatentClip
from .appearance import material_of
from .base import Attached, Method, check_videos
from .defaults import (
    FRESH_NOISE,
    Material,
    MethodDefaults,
    Rates,
    Usual,
    as_the_base,
    tuned,
)
from .lora_settings import lora_rank
from .losses import mse
from .parts import PlannedGroup, made
from .passes import one_pass

LEARNING_RATE = 1e-4  # all official configs, lr
LORA_LEARNING_RATE = 5e-4  # MotionDirector's, for LoRAs on the same layers
WEIGHT_DECAY = 1e-2  # train_inference.py, adam_weight_decay
TEMPORAL: Scope = "temporal"

VmcLoss = Literal["cosine", "cosine_abs", "mse"]
Parametrisation = Literal["full", "lora"]


# Its base makes 8 frames of 64x40 pixels, 2 a second, that other models enlarge and add to.
_NOT_SHOW_1 = "The official code's base is Show-1's first stage, in pixels; this one is not."
_SIZE = as_the_base("all official configs", _NOT_SHOW_1, width=64, height=40, frames=8)
_SAMPLING = as_the_base("all official configs", _NOT_SHOW_1, steps=75, guidance_scale=9.0)


@dataclass(frozen=True, kw_only=True)
class VmcSettings(Settings):
    """The loss of the motion vectors, and what is trained on it."""

    # cosine is frame by frame; cosine_abs is of absolute values along the frames of each latent
    # cell; mse is what Fig. 7 compares with.
    loss: VmcLoss = setting(
        "cosine",
        main=True,
        source="Eq. 17",
        official="cosine; cosine_abs in train_inference.py",
        reason="What paper and code say differs; the equation is of directions of motion.",
        help="How motion vectors are compared: cosine (the paper's), cosine_abs (its code's) or "
        "mse (its ablation).",
    )
    # Deviation where it is "lora": paper and code tune the weights themselves.
    parametrisation: Parametrisation = setting(
        "full",
        main=True,
        source="train_inference.py",
        help="full: full weights, as in the paper; a large file. lora: a small file; differs "
        "from the paper.",
    )
    rank: int = lora_rank("the LoRA, if parametrisation is lora", "MotionDirector's", main=True)


class Vmc(Method[VmcSettings]):
    """L = mean (1 - cos(δε̂_n, δε_n)) (Eq. 17), with δε_n = ε_{n+1} - ε_n, trains the queries, keys
    and values of temporal attention.
    """

    name = "vmc"
    title = "VMC"
    summary = "trains temporal attention on the differences between neighbouring frames"
    Settings = VmcSettings
    defaults: ClassVar = {
        "": MethodDefaults(
            train={
                "steps": Usual(value=400, source="all official configs, train_steps"),
                "max_grad_norm": Usual(value=1.0, source="train_inference.py, max_grad_norm"),
            },
            clip=_SIZE,
            sample={
                **_SAMPLING,
                "noise_prior": Usual(
                    value=1.0,
                    source="train_inference.py: samples begin with the clip's inverted noise alone",
                ),
                "inversion_steps": Usual(value=75, source="all official configs, num_inv_steps"),
            },
        ),
        "shape-world": MethodDefaults(
            train=tuned("Whole weights bear less than the base's LoRAs.", learning_rate=1e-3),
            sample=FRESH_NOISE,
        ),
    }

    def rates(self, material: Material) -> Rates:
        """By what is trained: whole weights or a LoRA."""
        full = self.settings.parametrisation == "full"
        decay = "train_inference.py, adam_weight_decay"
        if full:
            return Rates(LEARNING_RATE, WEIGHT_DECAY, "all official configs, lr", decay)
        lora = "MotionDirector's, for LoRAs on the same layers"
        return Rates(LORA_LEARNING_RATE, WEIGHT_DECAY, lora, decay)

    @property
    def lighter(self) -> Sequence[str]:
        """A LoRA, where whole weights are tuned."""
        return ("parametrisation = lora",) if self.settings.parametrisation == "full" else ()

    def groups(self, backbone: Backbone, clips: Sequence[LatentClip]) -> dict[str, PlannedGroup]:
        """The layers' whole weights, or a LoRA on them.

        Raises ClipError without clips, and for an image, which has no neighbouring frames.
        """
        check_videos(
            clips, "VMC learns from the differences between a video's frames. Use only videos."
        )
        linears, rank = attention_linears(backbone), self.settings.rank
        if self.settings.parametrisation == "full":
            names = _parameters(backbone.network, linears)
            plan = WeightsPlan(scope=TEMPORAL, names=names)
        else:
            plan = LoraPlan(scope=TEMPORAL, linears=linears, rank=rank, alpha=rank)
        rate, decay, *_ = self.rates(material_of(clips))
        group = PlannedGroup(parts={TEMPORAL: plan}, learning_rate=rate, weight_decay=decay)
        return {TEMPORAL: group}

    @contextmanager
    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> Iterator[Attached]:
        """See `Method`."""
        loss = partial(motion_vector_loss, loss=self.settings.loss)
        with made(self.groups(backbone, clips), backbone, rng) as groups:
            yield Attached(groups=groups, passes=one_pass(backbone, groups, TEMPORAL, loss))


def attention_linears(backbone: Backbone) -> list[str]:
    """Names of the queries', keys' and values' layers of the temporal attention."""
    return backbone.sites("temporal_projections")


def _parameters(network: nn.Module, layers: Sequence[str]) -> list[str]:
    """The full names of the layers' weights, and of biases where there are some."""
    return [
        f"{layer}.{p}"
        for layer in layers
        for p, _ in network.get_submodule(layer).named_parameters()
    ]


def motion_vectors(values: Tensor) -> Tensor:
    """What changes from each frame to the next. values: (B, C, F, h, w). Returns float32
    (B, C, F − 1, h, w).
    """
    return values[:, :, 1:].float() - values[:, :, :-1].float()


def motion_vector_loss(model_pred: Tensor, target: Tensor, loss: VmcLoss) -> Tensor:
    """A scalar from (B, C, F, h, w) of two frames or more; see `VmcSettings` for its kinds. The
    cosine distance is 1 − cos, from 0 to 2, and blind to the vectors' lengths.
    """
    pred, true = motion_vectors(model_pred), motion_vectors(target)
    if loss == "mse":
        return mse(pred, true)
    if loss == "cosine_abs":
        return 1 - F.cosine_similarity(pred.abs(), true.abs(), dim=2).mean()
    frames = (tensor.transpose(1, 2).flatten(2) for tensor in (pred, true))
    return 1 - F.cosine_similarity(*frames, dim=2).mean()
