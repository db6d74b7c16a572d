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

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..adapters.base import Adapter
from ..adapters.lora.training import TrainableLora, active_loras, trainable_lora
from ..adapters.weights.training import TrainableWeights, trainable_weights
from ..backbones.base import Backbone
from ..errors import ClipError
from ..settings import Settings, setting
from ..types import Batch, LatentClip
from .base import LossTerm, ParameterGroup
from .lora_settings import lora_rank
from .losses import mse
from .noised import noised

LEARNING_RATE = 1e-4  # all official configs, lr
LORA_LEARNING_RATE = 5e-4  # MotionDirector's, for LoRAs on the same layers
WEIGHT_DECAY = 1e-2  # train_inference.py, adam_weight_decay
TEMPORAL = "temporal"

VmcLoss = Literal["cosine", "cosine_abs", "mse"]
Parametrisation = Literal["full", "lora"]


@dataclass(frozen=True, kw_only=True)
class VmcSettings(Settings):
    """The loss of the motion vectors, and what is trained on it."""

    # cosine is frame by frame; cosine_abs is of absolute values along the frames of each latent
    # cell; mse is what Fig. 7 compares with.
    loss: VmcLoss = setting(
        "cosine",
        main=True,
        source="Eq. 17",
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


class Vmc:
    """The method, configured; see `Method`."""

    name = "vmc"
    title = "VMC"
    summary = "trains temporal attention on the differences between neighbouring frames"
    Settings = VmcSettings

    def __init__(self, settings: VmcSettings | None = None) -> None:
        self.settings = settings or VmcSettings()

    @contextmanager
    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> Iterator[AttachedVmc]:
        """Copies the temporal attention's weights to be tuned, or puts a LoRA in, switched off
        outside of the passes.

        Raises ClipError without clips, and for an image, which has no neighbouring frames.
        """
        if not clips:
            raise ClipError("No clips to train on. Add at least one.")
        for clip in clips:
            if clip.is_image:
                raise ClipError(
                    f"{clip.source} is an image; VMC learns from the differences between a "
                    "video's frames. Use only videos."
                )
        network, layers = backbone.network, attention_linears(backbone)
        if self.settings.parametrisation == "full":
            weights = trainable_weights(network, _parameters(network, layers))
            group = _group(weights.parameters, LEARNING_RATE)
            yield AttachedVmc(backbone, weights, weights.active, group, self.settings.loss)
            return
        rank = self.settings.rank
        with (
            trainable_lora(
                network, TEMPORAL, layers, rank=rank, alpha=rank, dropout=0.0, rng=rng
            ) as lora,
            active_loras(network, ()),
        ):
            active = partial(active_loras, network, (TEMPORAL,))
            group = _group(lora.parameters, LORA_LEARNING_RATE)
            yield AttachedVmc(backbone, lora, active, group, self.settings.loss)


class AttachedVmc:
    """What is tuned in the model and the one pass that trains it; see `Attached`."""

    def __init__(
        self,
        backbone: Backbone,
        tuned: TrainableWeights | TrainableLora,
        active: Callable[[], AbstractContextManager[None]],
        group: ParameterGroup,
        loss: VmcLoss,
    ) -> None:
        self._backbone, self._tuned, self._active = backbone, tuned, active
        self._loss: VmcLoss = loss
        self.groups: Mapping[str, ParameterGroup] = {TEMPORAL: group}

    def adapters(self) -> dict[str, Adapter]:
        """A copy of what is learned, on the CPU."""
        return {TEMPORAL: self._tuned.export(TEMPORAL, self._backbone.family)}

    def passes(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """The distance of predicted and true motion vectors of all frames; see `Attached`."""
        noisy, timesteps, target = noised(
            self._backbone, batch.latents, rng, min_timestep=batch.min_timestep
        )
        with self._active():
            pred = self._backbone.predict(noisy, timesteps, batch.prompt_embeds)
            yield LossTerm(TEMPORAL, motion_vector_loss(pred, target, self._loss), TEMPORAL)


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


def _group(parameters: Sequence[nn.Parameter], learning_rate: float) -> ParameterGroup:
    return ParameterGroup(
        parameters=parameters, learning_rate=learning_rate, weight_decay=WEIGHT_DECAY
    )


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
