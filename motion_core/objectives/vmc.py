"""VMC: temporal attention learns how neighbouring frames differ, and nothing else of the clip.

In: encoded clips, best under prompts without their background. Out: a LoRA "temporal" on the
queries, keys and values of temporal attention. Paper: Jeong, Park and Ye, "VMC: Video Motion
Customization using Temporal Attention Adaption", CVPR 2024 (arXiv 2312.00845): the motion vector
δε_n = ε_{n+1} − ε_n, and Eq. 17, the cosine distance of predicted and true ones. Read of it were
the abstract and a summary that states these equations; the reference for all else is
HyeonHo99/Video-Motion-Customization 0d8779f, train_inference.py and configs/.

Deviation: paper and code tune the layers' full weights; a LoRA leaves the base as it is.
Deviation: the paper's base predicts ε. Where the base predicts v, motion vectors are v's.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..adapters.base import Adapter
from ..adapters.lora import TrainableLora, active_loras, trainable_lora
from ..backbones.base import Backbone
from ..errors import ClipError
from ..settings import require
from ..types import Batch, LatentClip
from .base import LossTerm, ParameterGroup
from .losses import mse
from .noised import noised

LEARNING_RATE = 1e-4  # all official configs, lr
WEIGHT_DECAY = 1e-2  # train_inference.py, adam_weight_decay
TEMPORAL = "temporal"

VmcLoss = Literal["cosine", "cosine_abs", "mse"]


@dataclass(frozen=True, kw_only=True)
class VmcSettings:
    """Raises SettingsError on a value out of range.

    rank, alpha: of the LoRA; its scale is alpha / rank, and alpha None is rank. dropout:
    probability, while training. loss: of the motion vectors: Eq. 17's cosine distance frame by
    frame (cosine), as the official code has it (cosine_abs: of their absolute values, along the
    frames of each latent cell), or the paper's other choice, the squared distance of its Fig. 7
    (mse).
    """

    rank: int = 32  # MotionDirector's; the paper tunes full weights
    alpha: float | None = None
    dropout: float = 0.0  # the paper has none
    loss: VmcLoss = "cosine"  # Eq. 17

    def __post_init__(self) -> None:
        require(self.rank >= 1, "rank", self.rank, "at least 1")
        require(self.alpha is None or self.alpha > 0, "alpha", self.alpha, "more than 0, or None")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "from 0 to less than 1")
        choices = ("cosine", "cosine_abs", "mse")
        require(self.loss in choices, "loss", self.loss, " or ".join(map(repr, choices)))


class Vmc:
    """The method, configured; see `Objective`."""

    name = "vmc"

    def __init__(self, settings: VmcSettings | None = None) -> None:
        self.settings = settings or VmcSettings()

    @contextmanager
    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> Iterator[AttachedVmc]:
        """Puts the LoRA into the temporal attention, switched off outside of the passes.

        Raises ClipError without clips, and for an image, which has no neighbouring frames.
        """
        if not clips:
            raise ClipError("There is no clip to train on. Give at least one clip.")
        for clip in clips:
            if clip.is_image:
                raise ClipError(
                    f"{clip.source} is an image; VMC learns how the frames of a video differ. "
                    "Give videos only."
                )
        settings = self.settings
        with (
            trainable_lora(
                backbone.unet,
                TEMPORAL,
                attention_linears(backbone),
                rank=settings.rank,
                alpha=settings.alpha or settings.rank,
                dropout=settings.dropout,
                rng=rng,
            ) as lora,
            active_loras(backbone.unet, ()),
        ):
            yield AttachedVmc(backbone, lora, settings.loss)


class AttachedVmc:
    """The LoRA in the model and the one pass that trains it; see `Attached`."""

    def __init__(self, backbone: Backbone, lora: TrainableLora, loss: VmcLoss) -> None:
        self._backbone, self._lora, self._loss = backbone, lora, loss
        self.groups: Mapping[str, ParameterGroup] = {
            TEMPORAL: ParameterGroup(
                parameters=lora.parameters, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY
            )
        }

    def adapters(self) -> dict[str, Adapter]:
        """A copy of the LoRA on the CPU."""
        return {TEMPORAL: self._lora.export(TEMPORAL, self._backbone.family)}

    def passes(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """The distance of predicted and true motion vectors of all frames; see `Attached`."""
        noisy, timesteps, target = noised(self._backbone, batch.latents, rng)
        with active_loras(self._backbone.unet, (TEMPORAL,)):
            pred = self._backbone.predict(noisy, timesteps, batch.prompt_embeds)
            yield LossTerm(TEMPORAL, motion_vector_loss(pred, target, self._loss), TEMPORAL)


def attention_linears(backbone: Backbone) -> list[str]:
    """Names of the queries', keys' and values' layers of the temporal attention; as in the official
    code, those of `transformer_in`, which is at the entry of ZeroScope's UNet, are left out.
    """
    return [
        name
        for name in backbone.temporal_linears()
        if name.endswith((".to_q", ".to_k", ".to_v")) and not name.startswith("transformer_in.")
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
