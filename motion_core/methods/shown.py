"""Which of the adapters that a method has learned make up a sample.

A method may learn more than a sample should show: MotionDirector's spatial LoRAs are there to keep
a video's looks out of its motion. So what moves is shown, and what looks is left out until someone
asks for it. A method of which samples need more says so by an attribute `shows`, the scopes to
apply; the adapter file keeps the names, so that no reader has to know the method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..adapters.base import Adapter, Scope
from .base import Method

MOTION: Sequence[Scope] = ("temporal",)


def shown_names(adapters: Mapping[str, Adapter], method: Method) -> tuple[str, ...]:
    """The names of what a sample applies: adapters of the scopes that the method shows, or all of
    them where nothing moves (a run on images).
    """
    return names_of_scopes(adapters, getattr(method, "shows", MOTION))


def names_of_scopes(
    adapters: Mapping[str, Adapter], scopes: Sequence[Scope] = MOTION
) -> tuple[str, ...]:
    """The names of the adapters of these scopes, or all names where there are none."""
    return tuple(name for name, a in adapters.items() if a.scope in scopes) or tuple(adapters)


def shown_adapters(adapters: Mapping[str, Adapter], method: Method) -> list[tuple[Adapter, float]]:
    """What a sample of a run applies, at full strength."""
    return [(adapters[name], 1.0) for name in shown_names(adapters, method)]
