"""Motions together: two stacks added up, or one's motion with another's appearance.

In and out: stacks of motions, which are never changed in place.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from ..motion_core.adapter_files.loaded import LoadedAdapter
from ..motion_core.adapter_files.merging import check_one_family
from ..motion_core.adapters.base import Scope
from ..motion_core.errors import AdapterError
from ..motion_core.settings import require


def weighted(stack: Sequence[LoadedAdapter], weight: float) -> tuple[LoadedAdapter, ...]:
    """The stack with every strength multiplied."""
    require(math.isfinite(weight), "weight", weight, "a finite number")
    return tuple(dataclasses.replace(motion, strength=motion.strength * weight) for motion in stack)


def added(
    first: Sequence[LoadedAdapter], second: Sequence[LoadedAdapter]
) -> tuple[LoadedAdapter, ...]:
    """Both stacks as one, each motion as by itself; raises AdapterError for motions of different
    families.
    """
    check_one_family((*first, *second))
    return (*first, *second)


def motion_and_appearance(
    motion: Sequence[LoadedAdapter], appearance: Sequence[LoadedAdapter]
) -> tuple[LoadedAdapter, ...]:
    """What moves of the first stack, and how things look of the second.

    Of several appearances in one file, one for each of its clips, the first is taken. Raises
    AdapterError if a stack has none of it, or the families differ.
    """
    moving = [_only(one, "temporal") for one in motion]
    looking = [_only(one, "spatial") for one in appearance]
    for what, found, stack in (("motion", moving, motion), ("appearance", looking, appearance)):
        if not any(found):
            names = ", ".join(one.name for one in stack)
            raise AdapterError(
                f"{names or 'The empty stack'} contains no {what}. MotionDirector and MoTrans "
                "train both; use an adapter trained with one of them."
            )
    return added([one for one in moving if one], [one for one in looking if one])


def _only(motion: LoadedAdapter, scope: Scope) -> LoadedAdapter | None:
    """The motion with its adapters of one scope alone, to be applied; None if it has none."""
    own = {name: a for name, a in motion.adapters.items() if a.scope == scope}
    if not own:
        return None
    if scope == "temporal":
        shown = tuple(name for name in motion.shown if name in own) or tuple(own)
    else:
        shown = tuple(sorted(own)[:1])
    info = dataclasses.replace(motion.info, shown=shown)
    return dataclasses.replace(motion, info=info, adapters=own)
