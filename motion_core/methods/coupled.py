"""Coupled tuning, what the papers compare against: looks and motion are learned together.

One LoRA on the spatial and the temporal layers at once, with the plain diffusion loss on all
frames: nothing keeps a clip's looks out of its motion. In: encoded clips. Out: its two halves as
LoRAs "temporal" and "spatial"; a sample applies both. Paper: Zhao et al., "MotionDirector", ECCV
2024 (arXiv 2310.08465), Sec. 4, "coupled tuned" in Fig. 4 and Table 1. It says no more of it than
"LoRAs in a coupled manner": which layers, rank, dropout, learning rate and weight decay are taken
to be MotionDirector's own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch

from ..adapters.base import Adapter, Scope
from ..adapters.lora.training import TrainableLora, active_loras, trainable_lora
from ..backbones.base import Backbone
from ..errors import ClipError
from ..settings import Settings
from ..types import Batch, LatentClip
from .base import LossTerm, ParameterGroup
from .lora_settings import lora_alpha, lora_dropout, lora_rank
from .losses import mse
from .noised import noised

LEARNING_RATE = 5e-4  # MotionDirector, all official configs
WEIGHT_DECAY = 1e-2  # MotionDirector, config_single_video.yaml
GROUP = "coupled"


@dataclass(frozen=True, kw_only=True)
class CoupledSettings(Settings):
    """The LoRA, as MotionDirector's."""

    rank: int = lora_rank("the LoRA", "MotionDirector's official configs, lora_rank", main=True)
    alpha: float | None = lora_alpha(main=True)
    dropout: float = lora_dropout("MotionDirector's official configs, lora_unet_dropout", main=True)


class Coupled:
    """The baseline, configured; see `Method`."""

    name = "coupled"
    title = "Coupled"
    summary = "one LoRA for appearance and motion together, the papers' baseline"
    Settings = CoupledSettings
    shows: Sequence[Scope] = ("temporal", "spatial")

    def __init__(self, settings: CoupledSettings | None = None) -> None:
        self.settings = settings or CoupledSettings()

    @contextmanager
    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> Iterator[AttachedCoupled]:
        """Puts both halves of the LoRA into the network, switched off outside of the passes.

        Raises ClipError without clips, and for an image, which has no motion to couple its looks
        with.
        """
        if not clips:
            raise ClipError("No clips to train on. Add at least one.")
        for clip in clips:
            if clip.is_image:
                raise ClipError(
                    f"{clip.source} is an image; coupled tuning trains appearance and motion "
                    "together on videos. Use only videos, or the method motion-director."
                )
        sites: dict[Scope, list[str]] = {
            "temporal": backbone.sites("temporal"),
            "spatial": backbone.sites("spatial"),
        }
        settings = self.settings
        with ExitStack() as stack:
            halves: dict[Scope, TrainableLora] = {
                scope: stack.enter_context(
                    trainable_lora(
                        backbone.network,
                        scope,
                        linears,
                        rank=settings.rank,
                        alpha=settings.alpha or settings.rank,
                        dropout=settings.dropout,
                        rng=rng,
                    )
                )
                for scope, linears in sites.items()
            }
            stack.enter_context(active_loras(backbone.network, ()))
            yield AttachedCoupled(backbone, halves)


class AttachedCoupled:
    """The LoRA in the model and the one pass that trains it; see `Attached`."""

    def __init__(self, backbone: Backbone, halves: Mapping[Scope, TrainableLora]) -> None:
        self._backbone, self._halves = backbone, halves
        parameters = [parameter for half in halves.values() for parameter in half.parameters]
        self.groups: Mapping[str, ParameterGroup] = {
            GROUP: ParameterGroup(
                parameters=parameters, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY
            )
        }

    def adapters(self) -> dict[str, Adapter]:
        """Copies of the two halves on the CPU, by scope."""
        family = self._backbone.family
        return {scope: half.export(scope, family) for scope, half in self._halves.items()}

    def passes(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """MotionDirector Eq. 1 on all frames, for both halves; see `Attached`."""
        noisy, timesteps, target = noised(
            self._backbone, batch.latents, rng, min_timestep=batch.min_timestep
        )
        with active_loras(self._backbone.network, tuple(self._halves)):
            pred = self._backbone.predict(noisy, timesteps, batch.prompt_embeds)
            yield LossTerm(GROUP, mse(pred, target), GROUP)
