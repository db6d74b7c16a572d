"""What a video is sampled at where nothing else is asked for: as the motion was trained and its
method samples, else as the base is usually sampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..bases import BaseDefaults

SAMPLING = "sampling"
"""In an adapter file's settings: its method's own way to sample, by field of SampleSettings. Files
of version 0.1.0 have none.
"""
_OF_METHODS = ("steps", "guidance_scale", "adapter_end", "noise_prior")
SIZE = ("frames", "width", "height")


class TrainedOn(Protocol):
    """What is read of an adapter that plays; see `AdapterInfo`."""

    @property
    def settings(self) -> Mapping[str, object]: ...

    @property
    def frames(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def fps(self) -> float: ...

    @property
    def is_foreign(self) -> bool: ...


def sample_defaults(
    base: BaseDefaults,
    infos: Sequence[TrainedOn],
    *,
    has_noise: bool = False,
    asked: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Fields of SampleSettings. infos: of the adapters that play, the first of a video counts.

    has_noise: whether there are inverted latents for a noise prior. asked: what wins over these
    defaults; a size for which the latents are not leaves no prior.
    """
    trained = first_video(infos)
    size = base if trained is None else trained
    its_way = {} if trained is None else _of_its_method(trained)
    usual = base.sampled(its_way) | {name: getattr(size, name) for name in SIZE}
    resized = any((asked or {}).get(name, usual[name]) != usual[name] for name in SIZE)
    return {**usual, "noise_prior": 0.0} if resized or not has_noise else usual


def sample_fps(base: BaseDefaults, infos: Sequence[TrainedOn]) -> float:
    """Frames a second: of the first adapter of a video, else the base's."""
    trained = first_video(infos)
    return base.fps if trained is None else trained.fps


def first_video(infos: Sequence[TrainedOn]) -> TrainedOn | None:
    """The first that was trained on a video and whose file says at which size."""
    return next((info for info in infos if info.frames > 1 and not info.is_foreign), None)


def _of_its_method(info: TrainedOn) -> dict[str, object]:
    kept = info.settings.get(SAMPLING)
    if not isinstance(kept, Mapping):
        return {}
    return {name: kept[name] for name in _OF_METHODS if name in kept}
