"""The methods that can be trained, by the name that settings, files and commands use."""

from __future__ import annotations

from collections.abc import Mapping

from .base import Method
from .coupled import Coupled
from .motion_crafter import MotionCrafter
from .motion_director import MotionDirector
from .motion_inversion import MotionInversion
from .motrans.method import MoTrans
from .vmc import Vmc

# In the order of menus and lists; what serves to compare with comes last.
METHODS: Mapping[str, type[Method]] = {
    method.name: method
    for method in (
        MotionDirector,
        MotionCrafter,
        MotionInversion,
        MoTrans,
        Vmc,
        Coupled,
    )
}
