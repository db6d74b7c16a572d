"""The methods that can be trained, by the name that settings, files and commands use."""

from __future__ import annotations

from collections.abc import Callable

from .base import Method
from .coupled import Coupled
from .motion_crafter import MotionCrafter
from .motion_director import MotionDirector
from .motion_inversion import MotionInversion
from .motrans.method import MoTrans
from .vmc import Vmc

# In the order of their papers; the baseline last. Each takes its settings, or none for its own.
METHODS: dict[str, Callable[..., Method]] = {
    MotionDirector.name: MotionDirector,
    Vmc.name: Vmc,
    MotionCrafter.name: MotionCrafter,
    MotionInversion.name: MotionInversion,
    MoTrans.name: MoTrans,
    Coupled.name: Coupled,
}
