"""What the benchmark measures: variants of methods, on backbones and reference motions.

A row is a variant on one backbone with one reference motion, trained once or several times, each
time with another seed. variants.py declares them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from motion_core.shape_world.base import ANIMATEDIFF, ZEROSCOPE

Backbone = Literal["animatediff", "zeroscope"]
BASES: Mapping[Backbone, str] = {"animatediff": ANIMATEDIFF, "zeroscope": ZEROSCOPE}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to train and play. Settings are what it changes of the base's own (bases.py).

    method: registry name, None for the base without an adapter. settings: of the method.
    train: of the training. options: of the trained adapters, changed where an adapter has one of
    that name, so that variants may share one training. sample: settings of the sampling. prompt: of
    the reference clips in training, with {caption}, {shape} and {phrase} of its scene; texts in
    settings may have them too. None is the caption.
    clips: of the motion, each with other looks. strength: of what affects the motion.
    checkpoint: to sample with, of `CHECKPOINTS`; None is the one trained on.
    looks: where each clip's looks are from: its prompt, or a LoRA trained on an image of its
    subject or on another motion's clip. asked: what is asked for, with {caption}, {shape} and
    {phrase} of the subject. who: subjects of the benchmark, as many as `prompts` or the plan says,
    or those that wear the other motions, with several noises each.
    """

    name: str
    method: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    train: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    sample: Mapping[str, object] = field(default_factory=dict)
    prompt: str | None = None
    clips: int = 1
    strength: float = 1.0
    checkpoint: str | None = None
    looks: Literal["prompt", "image", "clip"] = "prompt"
    asked: str = "{caption}"
    who: Literal["subjects", "wearers"] = "subjects"
    prompts: int | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """motion: of `MOTIONS`. trainings: how many."""

    variant: Variant
    backbone: Backbone
    motion: str
    trainings: int = 1

    @property
    def name(self) -> str:
        return row_name(self.variant.name, self.backbone, self.motion)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What is measured at a time: one training of a row, and its clips."""

    row: Row
    seed: int

    @property
    def name(self) -> str:
        return f"{self.row.name.replace('/', '.')}.{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure. rows: in the order of the report. units: in the order of their worth.
    prompts: subjects of each reference motion, each with a noise of its own. train: settings of
    every training. sample_steps: None is the base's own.
    """

    rows: Sequence[Row]
    units: Sequence[Unit]
    prompts: int
    train: Mapping[str, object] = field(default_factory=dict)
    sample_steps: int | None = None


def row_name(variant: str, backbone: Backbone, motion: str) -> str:
    """ "motrans/zeroscope/zigzag" """
    return f"{variant}/{backbone}/{motion}"
