"""What the benchmark measures: variants of methods, on backbones and reference motions.

A row is a variant on one backbone with one reference motion. Settings here are what a variant
changes; all others are the base's own (bases.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from motion_core.shape_world.base import ANIMATEDIFF, ZEROSCOPE

Backbone = Literal["animatediff", "zeroscope"]
BASES: Mapping[Backbone, str] = {"animatediff": ANIMATEDIFF, "zeroscope": ZEROSCOPE}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to train and play.

    method: registry name, None for the base without an adapter. settings: of the method.
    train: of the training. options: of the trained adapters, changed where an adapter has one of
    that name, so that variants may share one training. sample: settings of the sampling. prompt: of
    the reference clip in training, with {caption}, {shape} and {phrase} of its scene; texts in
    settings may have them too. None is the caption.
    """

    name: str
    method: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    train: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    sample: Mapping[str, object] = field(default_factory=dict)
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
    Variant(name="motion-director", method="motion_director"),
    Variant(name="motion-crafter", method="motion_crafter", settings={"motion": "{phrase}"}),
    Variant(name="motion-inversion", method="motion_inversion"),
    Variant(name="motrans", method="motrans"),
)

# What methods are for shows where a method has to keep looks out by itself: the prompt leaves them
# out, as the papers' do (shape world's captions say everything, so that nothing is left to be
# learned of looks), and adapters play in every step (the last ones would mend looks without them).
TERSE = "a {shape} {phrase}"
THROUGHOUT: Mapping[str, object] = {"adapter_end": 1.0}
RECAPTION = "{caption}"


def _terse(name: str, method: str, **settings: object) -> Variant:
    return Variant(name=name, method=method, settings=settings, sample=THROUGHOUT, prompt=TERSE)


def _director(name: str, **settings: object) -> Variant:
    """A step without the LoRA for looks would leave them to the one for motion."""
    return _terse(name, "motion_director", spatial_dropout_p=0.0, **settings)


def _crafter(name: str, **settings: object) -> Variant:
    return _terse(name, "motion_crafter", motion="{phrase}", **settings)


def _inversion(name: str, **settings: object) -> Variant:
    return _terse(name, "motion_inversion", **settings)


def _debiased(name: str, debias: str) -> Variant:
    """Motion Inversion's one training, played with another debias."""
    return dataclasses.replace(_inversion(name), options={"debias": debias})


def _motrans(name: str, **settings: object) -> Variant:
    return _terse(name, "motrans", **{"recaptions": (RECAPTION,), **settings})


TERSE_METHODS = (
    _director("motion-director-terse"),
    _crafter("motion-crafter-terse"),
    _inversion("motion-inversion-terse"),
    _motrans("motrans-terse"),
)
COUPLED = _terse("coupled", "coupled")
COUPLED_CAPTIONED = Variant(name="coupled-captioned", method="coupled")

ABLATIONS: Mapping[Backbone, tuple[Variant, ...]] = {
    "animatediff": (
        _crafter("motion-crafter-beta-1", beta=1.0),
        _crafter("motion-crafter-beta-5", beta=5.0),
        _crafter("motion-crafter-beta-20", beta=20.0),
        _crafter("motion-crafter-uniform", timestep_bias="uniform"),
        _crafter("motion-crafter-deep-blocks", blocks="deep"),
    ),
    "zeroscope": (
        _director("motion-director-plain", loss="plain"),
        _debiased("motion-inversion-difference", "difference"),
        _debiased("motion-inversion-drop-value", "drop_value"),
        _debiased("motion-inversion-normalise", "normalise"),
        _inversion("motion-inversion-1d-1d", qk="1d", v="1d"),
        _inversion("motion-inversion-2d-1d", qk="2d", v="1d"),
        _inversion("motion-inversion-2d-2d", qk="2d", v="2d"),
        _motrans("motrans-no-injector", injection="none"),
        _motrans("motrans-no-enhancer", enhancer="none"),
        _motrans("motrans-no-recaption", recaptions=()),
    ),
}
"""Each on the backbone of its paper's own ablation, beside the terse methods."""
