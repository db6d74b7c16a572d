"""What suits a training: each setting at a value that is known before it begins.

In: a method, a base, what there is to train on, and what was chosen of the method's settings. Out:
all of the method's settings and of the training's, and how clips are cut and samples made. Whoever
trains lays what was asked for on top; nothing below changes a value that was given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..bases import BaseDefaults
from ..methods.base import Method
from ..methods.defaults import Case, Material, Usual
from ..settings import BASES_OWN, fields_of, from_mapping
from .settings import TrainSettings

SAMPLES = 4  # of a run, the last at its end
# Forward passes of the network: a training step has one and a backward pass as long as two, a step
# of a sample has two. A sample takes at most half as long as the steps before it.
A_STEP, A_SAMPLING_STEP = 3, 2
INVERSION_STEPS = 50  # MotionDirector_train.py's and Motion Inversion's train.py, inverse_video


@dataclass(frozen=True, kw_only=True)
class Suited:
    """By field: settings: of the method. train: of `TrainSettings`. clip: width, height, frames and
    fps of `ClipSettings`. sample: what `BaseDefaults.sampled` has of `SampleSettings`;
    sampled_its_way: those of them that are the method's own, which its adapter files keep.
    inversion_steps: of the noise beside the adapter.
    """

    settings: Mapping[str, Any]
    train: Mapping[str, Any]
    clip: Mapping[str, Any]
    sample: Mapping[str, Any]
    sampled_its_way: Mapping[str, Any]
    inversion_steps: int


def suited(
    method: type[Method],
    base: BaseDefaults,
    material: Material,
    chosen: Mapping[str, object] | None = None,
    train: Mapping[str, Any] | None = None,
) -> Suited:
    """What suits this method on this base with this material.

    chosen: settings of the method that are given, on which others may depend: a LoRA's learning
    rate is another than that of whole weights. They are among `Suited.settings` again.
    train: settings of the training that are given; samples are spread over its steps.

    Of the training, what a method says of every base gives way to what the base says of every
    method, and this to what the method says of this base. Raises SettingsError for a setting that
    the method does not have, or a value that is not allowed.
    """
    every, named = method.defaults_of(base.name)
    layers = (every, *named)
    usual_clip = {name: getattr(base, name) for name in ("frames", "fps", "width", "height")}
    case = Case(
        videos=material.videos,
        images=material.images,
        frames=base.frames,
        prompts=material.prompts,
        settings={},
    )
    clip = usual_clip | _values([layer.clip for layer in layers], case)
    case = replace(case, frames=material.frames or int(clip["frames"]))
    settings = _settings(method, [layer.settings for layer in layers], chosen or {}, case)
    now = replace(case, settings=settings)
    rates = method(from_mapping(method.Settings, settings)).rates(material)
    usual_train = {
        **_plain(TrainSettings()),
        **rates.numbers(),
        **_values([every.train], now),
        **base.train,
        **_values([layer.train for layer in named], now),
    }
    sample = _values([layer.sample for layer in layers], now)
    inversion_steps = sample.pop("inversion_steps", INVERSION_STEPS)
    usual_sample = base.sampled(sample)
    asked = from_mapping(TrainSettings, {**usual_train, **(train or {})})
    usual_train["sample_every"] = _sample_every(asked, usual_sample["steps"])
    return Suited(
        settings=settings,
        train=usual_train,
        clip=clip,
        sample=usual_sample,
        sampled_its_way=sample,
        inversion_steps=inversion_steps,
    )


def _sample_every(train: TrainSettings, sampling_steps: int) -> int:
    """Steps between the samples of a run, which are `SAMPLES`, or fewer in a short one."""
    passes = A_STEP * train.noise_draws * train.accumulation
    least = math.ceil(2 * A_SAMPLING_STEP * sampling_steps / passes)
    return max(least, math.ceil(train.steps / SAMPLES))


def _settings(
    method: type[Method],
    layers: list[Mapping[str, Usual]],
    chosen: Mapping[str, object],
    case: Case,
) -> dict[str, Any]:
    """Rules come last, as they depend on what is chosen."""
    usual = {name: value for layer in layers for name, value in layer.items()}
    plain = {name: one.value for name, one in usual.items() if not callable(one.value)}
    before = _plain(from_mapping(method.Settings, {**plain, **chosen}))
    ruled = {name: one for name, one in usual.items() if callable(one.value)}
    now = replace(case, settings=before)
    decided = {name: one.of(now) for name, one in ruled.items() if name not in chosen}
    return _plain(from_mapping(method.Settings, {**before, **decided}))


def _values(layers: list[Mapping[str, Usual]], case: Case) -> dict[str, Any]:
    usual = {name: one for layer in layers for name, one in layer.items()}
    return {name: one.of(case) for name, one in usual.items() if one.value != BASES_OWN}


def _plain(settings: Any) -> dict[str, Any]:
    return {field.name: getattr(settings, field.name) for field in fields_of(type(settings))}
