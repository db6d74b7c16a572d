"""Motions together: two stacks added up, or one's motion with another's looks.

In and out: stacks of motions, which are never changed in place.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..motion_core.adapters.base import names_of_scopes
from ..motion_core.errors import AdapterError
from ..motion_core.settings import require

if TYPE_CHECKING:
    from ..motion_core.adapters.base import Scope
    from .sockets import Motion


def weighted(stack: Sequence[Motion], weight: float) -> tuple[Motion, ...]:
    """The stack with every strength multiplied."""
    require(math.isfinite(weight), "weight", weight, "a finite number")
    return tuple(dataclasses.replace(motion, strength=motion.strength * weight) for motion in stack)


def added(first: Sequence[Motion], second: Sequence[Motion]) -> tuple[Motion, ...]:
    """Both stacks as one, each motion as it plays by itself; raises AdapterError for motions of
    different families.
    """
    families = {motion.info.family: motion.name for motion in (*first, *second)}
    if len(families) > 1:
        named = ", ".join(f"{name} is of {family}" for family, name in families.items())
        raise AdapterError(
            f"These motions cannot play together: {named}. Blend motions of one family."
        )
    return (*first, *second)


def motion_and_looks(motion: Sequence[Motion], looks: Sequence[Motion]) -> tuple[Motion, ...]:
    """What moves of the first stack, and how things look of the second.

    Of several looks in one file, one for each of its clips, the first is taken. Raises AdapterError
    if a stack has none of it, or the families differ.
    """
    moving = [_only(one, "temporal") for one in motion]
    looking = [_only(one, "spatial") for one in looks]
    for what, found, stack in (("motion", moving, motion), ("looks", looking, looks)):
        if not any(found):
            names = ", ".join(one.name for one in stack)
            raise AdapterError(
                f"{names or 'The empty stack'} holds no {what}. MotionDirector and MoTrans learn "
                "both; give a motion that was trained with one of them."
            )
    return added([one for one in moving if one], [one for one in looking if one])


def _only(motion: Motion, scope: Scope) -> Motion | None:
    """The motion with the adapters of one scope as what is shown; None if it has none of it."""
    own = {name: a for name, a in motion.adapters.items() if a.scope == scope}
    if not own:
        return None
    if scope == "temporal":
        said = motion.info.shown or names_of_scopes(motion.adapters)
        shown = tuple(name for name in said if name in own) or tuple(own)
    else:
        shown = tuple(sorted(own)[:1])
    info = dataclasses.replace(motion.info, shown=shown)
    return dataclasses.replace(motion, info=info, adapters=own)
