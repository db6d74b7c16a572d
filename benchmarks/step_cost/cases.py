"""What is counted: each recipe on each base, at several sizes and lengths.

MotionDirector's step is the one with both passes, which it is four times out of five. MoTrans's is
that of its second stage; one of the first is MotionDirector's spatial pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from motion_core.backbones.base import Family
from motion_core.methods.base import Method
from motion_core.methods.motion_crafter import MotionCrafter, MotionCrafterSettings
from motion_core.methods.motion_director import MotionDirector, MotionDirectorSettings
from motion_core.methods.motion_inversion import MotionInversion
from motion_core.methods.motrans.method import MoTrans, MoTransSettings
from motion_core.training.settings import TrainSettings

from . import textbook
from .counting import Counted
from .networks import full_size_base
from .trained import PROMPT, step_of
from .trials import TRIALS

METHODS: Mapping[str, Callable[[], Method[Any]]] = {
    "motion_director": lambda: MotionDirector(MotionDirectorSettings(spatial_dropout_p=0.0)),
    "motion_crafter": lambda: MotionCrafter(MotionCrafterSettings(motion="skateboarding")),
    "motion_inversion": MotionInversion,
    "motrans": lambda: MoTrans(MoTransSettings(appearance_steps=0, verb=PROMPT.split()[-1])),
}
TEXTBOOK: Mapping[str, Callable[..., Counted]] = {
    "motion_director": textbook.motion_director,
    "motion_crafter": textbook.motion_crafter,
}
FAMILIES: tuple[Family, ...] = ("animatediff", "zeroscope")


@dataclass(frozen=True)
class Case:
    """A row of the table. recipe: "ours", "0.1.0" for our passes with LoRAs as version 0.1.0
    computed them, the name of a trial of ours, or "textbook". checkpointing: the textbook's always
    is.
    """

    recipe: str
    method: str
    family: Family
    frames: int = 16
    height: int = 256
    width: int = 256
    checkpointing: bool = True

    def counted(self) -> Counted:
        base = full_size_base(self.family, torch.bfloat16)
        size = {"frames": self.frames, "height": self.height, "width": self.width}
        if self.recipe == "textbook":
            return TEXTBOOK[self.method](base, **size)
        with TRIALS.get(self.recipe, nullcontext)():
            return step_of(
                METHODS[self.method](),
                base,
                settings=TrainSettings(precision="bf16", checkpointing=self.checkpointing),
                composed=self.recipe == "0.1.0",
                **size,
            )


def _at_size(frames: int, height: int, width: int) -> list[Case]:
    """All recipes; without checkpointing MotionDirector alone, and at the smallest size all."""
    size = (frames, height, width)
    cases = []
    for family in FAMILIES:
        cases += [Case("textbook", method, family, *size) for method in TEXTBOOK]
        for method in METHODS:
            cases.append(Case("ours", method, family, *size))
            if method == "motion_director" or height == width == 256:
                cases.append(Case("ours", method, family, *size, checkpointing=False))
    return cases


def _of_lengths() -> list[Case]:
    return [
        Case("ours", "motion_director", family, frames=frames)
        for family in FAMILIES
        for frames in (8, 24, 32)
    ]


def _as_before() -> list[Case]:
    return [
        Case("0.1.0", "motion_director", family, checkpointing=checkpointing)
        for family in FAMILIES
        for checkpointing in (True, False)
    ]


def _of_trials() -> list[Case]:
    return [
        Case("no autocast", "motion_director", "animatediff"),
        Case("no autocast", "motion_director", "animatediff", checkpointing=False),
        Case("no autocast", "motion_director", "zeroscope"),
        Case("no autocast", "motion_inversion", "animatediff"),
        Case("no autocast", "motrans", "animatediff"),
        Case("no autocast", "motion_crafter", "animatediff"),
    ]


SIZES = ((16, 256, 256), (16, 384, 384), (16, 512, 512), (24, 320, 576))
CASES = [
    *(case for size in SIZES for case in _at_size(*size)),
    *_of_lengths(),
    *_as_before(),
    *_of_trials(),
]

# What `make test` counts again: each method, both bases, with and without checkpointing.
GUARDED = [
    Case("ours", "motion_director", "animatediff"),
    Case("ours", "motrans", "zeroscope", checkpointing=False),
    Case("ours", "motion_crafter", "zeroscope"),
    Case("ours", "motion_inversion", "animatediff", checkpointing=False),
]
