"""The training node's progress bar: one scale for all that a run does, and pictures of samples."""

from __future__ import annotations

from dataclasses import replace

from ...motion_core.backbones.base import Backbone
from ...motion_core.diffusion.sampling import OnForeseen
from ..host.bridge import NodeBar, OnStep
from ..host.previews import previews_on
from .scale import Scale


class RunBar:
    """Moves the bar, and raises CancelRun after Cancel."""

    def __init__(self, scale: Scale, bar: NodeBar) -> None:
        self._scale, self._bar = scale, bar

    def prepared(self) -> None:
        """All clips are encoded."""
        self._show(self._scale.prepared)

    def trained(self, step: int) -> None:
        self._show(self._scale.trained(step))

    def ends_after(self, steps: int) -> None:
        """So many steps are all that there will be: the run was stopped, or done before."""
        self._scale = replace(self._scale, steps=steps)

    def sampling(self, step: int, prompt: int) -> OnStep:
        """Of the sample after so many steps, for this of its prompts (from 0)."""
        return lambda done, of: self._show(self._scale.sampled(step, prompt, done / of))

    def inverting(self, done: int, of: int) -> None:
        self._show(self._scale.inverted(done / of))

    def pictures(self, backbone: Backbone) -> OnForeseen | None:
        """See `previews_on`."""
        return previews_on(self._bar, backbone)

    def _show(self, done: int) -> None:
        self._bar(done, self._scale.total)
