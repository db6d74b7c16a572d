"""From what stands on a clip node to the core's settings, and what the node says of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..motion_core.bases import BASES, BaseDefaults
from ..motion_core.settings import fields_of, from_mapping
from ..motion_core.video.settings import ClipSettings
from .suited.answer import Answer
from .widget_values import given

logger = logging.getLogger(__name__)

SUITED = ("frames", "fps", "width", "height")


@dataclass(frozen=True, kw_only=True)
class Cut:
    """notes: sentences for people, of what was left out or is not used."""

    settings: ClipSettings
    notes: tuple[str, ...]


def usual_cut() -> dict[str, Any]:
    """What stands on a new node: what suits a base of full size."""
    return {name: getattr(_full_size(), name) for name in SUITED}


def left_out(choices: Mapping[str, Any]) -> list[str]:
    """What a training would say that suits."""
    return [name for name in SUITED if name not in choices]


def own_rate(chosen: Mapping[str, Any]) -> dict[str, float]:
    """A stride is of frames at the video's own rate."""
    return {"fps": 0.0} if chosen.get("stride", 1) != 1 else {}


def cut_of(choices: Mapping[str, Any], frames: int, suited: Answer | None) -> Cut:
    """choices: by input. frames: of the source; a single one is an image, whatever is asked of
    videos. suited: by the training that the node is connected to, None if there is none.
    """
    chosen = {**choices, **(_IMAGE if frames == 1 else {})}
    usual = {**usual_cut(), **own_rate(chosen)} if suited is None else suited.values
    values = given(fields_of(ClipSettings), {**usual, **chosen})
    notes = [*_of_left_out(left_out(chosen), suited), *_of_stride(values)]
    settings = from_mapping(ClipSettings, {**values, **({"stride": 1} if values["fps"] else {})})
    return Cut(settings=settings, notes=tuple(notes))


_IMAGE = {"frames": 1, "windows": 1, "start_seconds": 0.0, "stride": 1, "fps": 0.0}


def _of_left_out(names: list[str], suited: Answer | None) -> Iterator[str]:
    if names and suited is None:
        yield (
            f"Left out: {', '.join(names)}. No training on a known base is connected, so that they "
            f"suit the base {_full_size().name}."
        )
    elif names and suited is not None:
        yield f"Left out: {', '.join(names)}. They suit the base {suited.to['base']}."


def _of_stride(values: Mapping[str, Any]) -> Iterator[str]:
    rate, stride = values["fps"], values.get("stride", 1)
    if rate and stride != 1:
        text = f"stride {stride} is not used, as fps is {rate:g}. For a stride, set fps to 0."
        logger.warning("%s", text)
        yield text


def _full_size() -> BaseDefaults:
    return next(base for base in BASES.values() if base.required)
