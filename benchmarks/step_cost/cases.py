"""What is counted: each recipe on each base, at several sizes and lengths.

MotionDirector's step is the one with both passes, which it is four times out of five. MoTrans's is
that of its second stage; one of the first is MotionDirector's spatial pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import torch

from motion_core.backbones.base import Family, Keeps
from motion_core.methods.base import Method
from motion_core.methods.motion_crafter import MotionCrafter, MotionCrafterSettings
from motion_core.methods.motion_director import MotionDirector, MotionDirectorSettings
from motion_core.methods.motion_inversion import MotionInversion
from motion_core.methods.motrans.method import MoTrans, MoTransSettings

from . import textbook
from .counting import Counted
from .networks import full_size_base
from .trained import PROMPT, step_of

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
    computed them, or "textbook". keeps: for the backward pass; the textbook keeps inputs, as
    checkpointing does.
    """

    recipe: str
    method: str
    family: Family
    frames: int = 16
    height: int = 256
    width: int = 256
    keeps: Keeps = "outputs"

    def counted(self) -> Counted:
        base = full_size_base(self.family, torch.bfloat16)
        size = {"frames": self.frames, "height": self.height, "width": self.width}
        if self.recipe == "textbook":
            return TEXTBOOK[self.method](base, **size)
        return step_of(
            METHODS[self.method](),
            base,
            keeps=self.keeps,
            composed=self.recipe == "0.1.0",
            **size,
        )


def _at_size(frames: int, height: int, width: int) -> list[Case]:
    """All recipes; MotionDirector in all ways, and the others too at the smallest size."""
    size = (frames, height, width)
    cases = []
    for family in FAMILIES:
        cases += [Case("textbook", method, family, *size, keeps="inputs") for method in TEXTBOOK]
        for method in METHODS:
            whole = method == "motion_director" or height == width == 256
            ways: tuple[Keeps, ...] = get_args(Keeps) if whole else ("outputs",)
            cases += [Case("ours", method, family, *size, keeps=keeps) for keeps in ways]
    return cases


def _of_lengths() -> list[Case]:
    return [
        Case("ours", "motion_director", family, frames=frames)
        for family in FAMILIES
        for frames in (8, 24, 32)
    ]


def _as_before() -> list[Case]:
    return [
        Case("0.1.0", "motion_director", family, keeps=keeps)
        for family in FAMILIES
        for keeps in get_args(Keeps)
    ]


SIZES = ((16, 256, 256), (16, 384, 384), (16, 512, 512), (24, 320, 576))
CASES = [
    *(case for size in SIZES for case in _at_size(*size)),
    *_of_lengths(),
    *_as_before(),
]

# What `make test` counts again: each method, both bases, each way to keep.
GUARDED = [
    Case("ours", "motion_director", "animatediff"),
    Case("ours", "motrans", "zeroscope", keeps="all"),
    Case("ours", "motion_crafter", "zeroscope", keeps="inputs"),
    Case("ours", "motion_inversion", "animatediff", keeps="all"),
]
