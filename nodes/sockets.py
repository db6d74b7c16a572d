"""What the pack's nodes hand to each other, and the socket types that carry it.

All of it is read-only: a node that changes a motion's strength makes a new one. Nothing here needs
diffusers, so that the nodes register in an environment where it cannot be imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from comfy_api.latest import io

if TYPE_CHECKING:
    from ..motion_core.adapter_files.loaded import LoadedAdapter
    from ..motion_core.adapters.base import Adapter
    from ..motion_core.backbones.base import Backbone
    from ..motion_core.bases import BaseDefaults
    from ..motion_core.types import Clip


@dataclass(frozen=True, kw_only=True)
class MotionBase:
    """A base to train and sample on; socket MOTION_BASE.

    name: the core's name of the base, or the files', for records and messages. backbone: its
    components. defaults: what it is trained and sampled at where nothing else is asked for.
    """

    name: str
    backbone: Backbone
    defaults: BaseDefaults


# Socket MOTION_ADAPTER: motions that are applied together.
MotionStack = tuple["LoadedAdapter", ...]

# Socket MOTION_CLIPS: what a training learns from, all of one size and length, or images.
MotionClips = tuple["Clip", ...]

MotionBaseSocket = io.Custom("MOTION_BASE")
MotionAdapterSocket = io.Custom("MOTION_ADAPTER")
MotionClipsSocket = io.Custom("MOTION_CLIPS")


def adapters_to_apply(stack: Sequence[LoadedAdapter]) -> list[tuple[Adapter, float]]:
    """The adapters that a sample applies, each with its strength; see `LoadedAdapter.applied`."""
    return [pair for motion in stack for pair in motion.applied()]
