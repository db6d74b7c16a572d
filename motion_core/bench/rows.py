"""What the benchmark measures: variants of methods, on backbones and reference motions.

A row is a variant on one backbone with one reference motion. Settings here are what a variant
changes; all others are the base's own (bases.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..shape_world.base import ANIMATEDIFF, ZEROSCOPE

Backbone = Literal["animatediff", "zeroscope"]
BASES: Mapping[Backbone, str] = {"animatediff": ANIMATEDIFF, "zeroscope": ZEROSCOPE}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to train and play.

    objective: registry name, None for the base without an adapter. settings: of the objective.
    train: of the training. options: of the trained adapters, changed where an adapter has one of
    that name, so that variants may share one training. prompt: of the reference clip in training,
    with {caption}, {shape} and {phrase} of its scene; texts in settings may have them too. None is
    the caption.
    """

    name: str
    objective: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    train: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    prompt: str | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """motion: of `REFERENCE_MOTIONS`."""

    variant: Variant
    backbone: Backbone
    motion: str

    @property
    def name(self) -> str:
        return row_name(self.variant.name, self.backbone, self.motion)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure. prompts: subjects of each reference motion. seeds: of the samples' noise.
    train: settings of every training. sample_steps: None is the base's own.
    """

    rows: Sequence[Row]
    prompts: int
    seeds: Sequence[int]
    train: Mapping[str, object] = field(default_factory=dict)
    sample_steps: int | None = None


def row_name(variant: str, backbone: Backbone, motion: str) -> str:
    """ "motrans/zeroscope/zigzag" """
    return f"{variant}/{backbone}/{motion}"


BASE = Variant(name="base")
METHODS = (
    Variant(name="motion-director", objective="motion_director"),
    Variant(name="motion-crafter", objective="motion_crafter", settings={"motion": "{phrase}"}),
    Variant(name="motion-inversion", objective="motion_inversion"),
    Variant(name="motrans", objective="motrans"),
)
COUPLED = Variant(name="coupled", objective="coupled")

# A recaption only adds to a prompt that leaves looks out, as the papers' do; shape world's captions
# say everything.
TERSE = "a {shape} {phrase}"
RECAPTION = "{caption}"


def _director(name: str, **settings: object) -> Variant:
    return Variant(name=name, objective="motion_director", settings=settings)


def _crafter(name: str, **settings: object) -> Variant:
    settings = {"motion": "{phrase}", **settings}
    return Variant(name=name, objective="motion_crafter", settings=settings)


def _inversion(name: str, **settings: object) -> Variant:
    return Variant(name=name, objective="motion_inversion", settings=settings)


def _debiased(name: str, debias: str) -> Variant:
    """Motion Inversion's one training, played with another debias."""
    return Variant(name=name, objective="motion_inversion", options={"debias": debias})


def _motrans(name: str, prompt: str | None = None, **settings: object) -> Variant:
    return Variant(name=name, objective="motrans", prompt=prompt, settings=settings)


ABLATIONS: Mapping[Backbone, tuple[Variant, ...]] = {
    "animatediff": (
        _crafter("motion-crafter-beta-1", beta=1.0),
        _crafter("motion-crafter-beta-20", beta=20.0),
        _crafter("motion-crafter-uniform", timestep_bias="uniform"),
        _crafter("motion-crafter-all-blocks", blocks="all"),
    ),
    "zeroscope": (
        _director("motion-director-plain", loss="plain"),
        _debiased("motion-inversion-drop-value", "drop_value"),
        _debiased("motion-inversion-normalise", "normalise"),
        _debiased("motion-inversion-no-debias", "none"),
        _inversion("motion-inversion-1d-1d", qk="1d", v="1d"),
        _inversion("motion-inversion-2d-1d", qk="2d", v="1d"),
        _inversion("motion-inversion-2d-2d", qk="2d", v="2d"),
        _motrans("motrans-no-injector", injection="none"),
        _motrans("motrans-no-enhancer", enhancer="none"),
        _motrans("motrans-recaptioned", prompt=TERSE, recaptions=(RECAPTION,)),
        _motrans("motrans-no-recaption", prompt=TERSE),
    ),
}
"""Each on the backbone of its paper's own ablation."""
