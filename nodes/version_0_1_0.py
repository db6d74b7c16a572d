"""What workflows of version 0.1.0 mean: there a value left at its default was not the value that
ran, but the base's own for the method; 0 for a number stood for that too.

The file beside this one has both, by method: every default ("") and what ran instead on a base;
under no method ("") what a base was sampled at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ..motion_core.adapter_files.sample_defaults import (
    SIZE,
    TrainedOn,
    first_video,
    sample_defaults,
)
from ..motion_core.bases import BaseDefaults
from ..motion_core.settings import Field
from .widget_values import Widget, given, widget_value

# Those of Train Motion Adapter, all of which every prompt of that version has.
INPUTS = frozenset(
    (
        "steps",
        "learning_rate",
        "seed",
        "precision",
        "memory",
        "sample_prompt",
        "sample_every",
        "save_every",
        "inversion_steps",
        "name",
        "resume",
    )
)
LEFT_ALONE: Mapping[str, float] = {"steps": 0, "learning_rate": 0.0, "weight_decay": -1.0}
STOOD_FOR_NONE: Mapping[str, Widget] = {"alpha": 0.0, "channels": ""}
"""What a widget held for the rank, or the widest layers; both have another form now."""
SAMPLED_LEFT_ALONE = ("steps", "guidance_scale", "frames", "width", "height", "adapter_end")
"""Those of Sample Motion Video, where 0 stood for it."""
MARK = "exactly"
"""An input that says whether the values are those that run. Prompts of that version do not have it
on Train Motion Adapter, and had it turned off on settings nodes."""


def is_of_then(inputs: Mapping[str, Any]) -> bool:
    """Whether the inputs of Train Motion Adapter are to be read as that version did."""
    return not inputs.get(MARK, not inputs.keys() >= INPUTS)


def without_left_alone(widgets: Mapping[str, Any]) -> dict[str, Any]:
    """The widgets without those whose value stood for "the method's own", and is none itself."""
    return {n: v for n, v in widgets.items() if n not in LEFT_ALONE or v != LEFT_ALONE[n]}


def given_then(
    part: str, method: str, fields: Iterable[Field], widgets: Mapping[str, Any]
) -> dict[str, object]:
    """What the widgets of these fields said: the values that were not their defaults. part:
    "settings" of the method, or "train".
    """
    defaults = defaults_then(part, method)
    held = {f.name: widget_then(f, defaults.get(f.name, f.default)) for f in fields}
    touched = {n: v for n, v in without_left_alone(widgets).items() if v != held.get(n)}
    return given(fields, touched)


def widget_then(field: Field, value: Any) -> Widget:
    """What a widget held for a value; see `widget_value`."""
    stood = STOOD_FOR_NONE.get(field.name)
    return stood if stood is not None and not value else widget_value(field, value)


@dataclass(frozen=True, kw_only=True)
class Then:
    """What ran where nothing was said: see `suited.Suited`."""

    settings: Mapping[str, Any]
    train: Mapping[str, Any]
    sample: Mapping[str, Any]
    sampled_its_way: Mapping[str, Any] = field(default_factory=dict)
    inversion_steps: int = 50


def values_then(method: str, base: BaseDefaults) -> Then:
    """Of a method on a base."""
    own = _table()[method].get(base.name, {})
    settings, train = (
        {**defaults_then(part, method), **own.get(part, {})} for part in ("settings", "train")
    )
    return Then(settings=settings, train=train, sample={"noise_prior": 0.0, **sampled_then(base)})


def sampled_then(base: BaseDefaults, infos: Sequence[TrainedOn] = ()) -> dict[str, Any]:
    """What ran where 0 stood on Sample Motion Video: the base's own, whatever the method of the
    motions; frames, width and height of the first motion of a video. infos: of those that play.
    """
    kept = _table()[""].get(base.name, {}).get("sample", {})
    own = {**sample_defaults(base, ()), **kept}  # a base that has come since has no other
    trained = first_video(infos)
    size = {} if trained is None else {name: getattr(trained, name) for name in SIZE}
    return {**{name: own[name] for name in SAMPLED_LEFT_ALONE}, **size}


def defaults_then(part: str, method: str) -> Mapping[str, Any]:
    """What stood on new nodes. part: "settings" of the method, or "train"."""
    return _table()[method][""][part]


@cache
def _table() -> Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]:
    return json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
