"""Coupled tuning, what the papers compare against: looks and motion are learned together.

One LoRA on the spatial and the temporal layers at once, with the plain diffusion loss on all
frames: nothing keeps a clip's looks out of its motion. In: encoded clips. Out: its two halves as
LoRAs "temporal" and "spatial"; a sample applies both. Paper: Zhao et al., "MotionDirector", ECCV
2024 (arXiv 2310.08465), Sec. 4, "coupled tuned" in Fig. 4 and Table 1. It says no more of it than
"LoRAs in a coupled manner": which layers, rank, dropout, learning rate and weight decay are taken
to be MotionDirector's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch

from ..backbones.base import Backbone
from ..settings import Settings
from ..types import LatentClip
from .base import Attached, Method, check_videos
from .defaults import ALPHA, Material, MethodDefaults, Rates, Usual, tuned
from .lora_settings import lora_alpha, lora_dropout, lora_rank
from .losses import mse
from .motion_director import steps_of_videos
from .parts import PlannedGroup, lora_plans, made
from .passes import one_pass

LEARNING_RATE = 5e-4  # MotionDirector, all official configs
WEIGHT_DECAY = 1e-2  # MotionDirector, config_single_video.yaml
GROUP = "coupled"
STEPS = Usual(
    value=steps_of_videos, source="MotionDirector's, with which it is compared; not in the paper"
)


@dataclass(frozen=True, kw_only=True)
class CoupledSettings(Settings):
    """The LoRA, as MotionDirector's."""

    rank: int = lora_rank("the LoRA", "MotionDirector's official configs, lora_rank", main=True)
    alpha: float | None = lora_alpha(main=True)
    dropout: float = lora_dropout("MotionDirector's official configs, lora_unet_dropout", main=True)


class Coupled(Method[CoupledSettings]):
    """L = mean (ε̂ - ε)² (MotionDirector, Eq. 1), of all frames, trains both halves at once."""

    name = "coupled"
    title = "Coupled"
    summary = "one LoRA for appearance and motion together, the papers' baseline"
    Settings = CoupledSettings
    defaults: ClassVar = {
        "": MethodDefaults(settings={"alpha": ALPHA}, train={"steps": STEPS}),
        "shape-world": MethodDefaults(
            settings=tuned("As MotionDirector's, with which it is compared.", dropout=0.0)
        ),
    }
    shows: ClassVar = ("temporal", "spatial")

    def rates(self, material: Material) -> Rates:
        """MotionDirector's for one video."""
        taken = "MotionDirector's, with which it is compared; not in the paper"
        return Rates(LEARNING_RATE, WEIGHT_DECAY, taken, taken)

    def groups(self, backbone: Backbone, clips: Sequence[LatentClip]) -> dict[str, PlannedGroup]:
        """Both halves of the LoRA in one group.

        Raises ClipError without clips, and for an image, which has no motion to couple its looks
        with.
        """
        check_videos(
            clips,
            "coupled tuning trains appearance and motion together on videos. Use only videos, or "
            "the method motion-director.",
        )
        settings = self.settings
        halves = lora_plans(
            backbone,
            {"temporal": "temporal", "spatial": "spatial"},
            rank=settings.rank,
            alpha=settings.alpha,
            dropout=settings.dropout,
        )
        group = PlannedGroup(parts=halves, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        return {GROUP: group}

    @contextmanager
    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> Iterator[Attached]:
        """See `Method`."""
        with made(self.groups(backbone, clips), backbone, rng) as groups:
            yield Attached(groups=groups, passes=one_pass(backbone, groups, GROUP, mse))
