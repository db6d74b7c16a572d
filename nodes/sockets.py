"""What the pack's nodes hand to each other, and the socket types that carry it.

All of it is read-only: a node that changes a motion's strength makes a new one. Nothing here needs
diffusers, so that the nodes register in an environment where it cannot be imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from comfy_api.latest import io

if TYPE_CHECKING:
    from torch import Tensor

    from ..motion_core.adapter_files.noise_file import NoiseInfo
    from ..motion_core.adapter_files.own import AdapterInfo
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


@dataclass(frozen=True, kw_only=True)
class Motion:
    """One trained or loaded motion.

    name: for messages, usually the file's. adapters: all that the file holds, by name; which of
    them play, `played` says. strength: 1 is as trained. inverted: (1, C, F, h, w), the latents of
    the reference's own noise from the file's sidecar, and noise: what that says of them. previews:
    the file's small pictures, JPEG or PNG, in order.
    """

    name: str
    info: AdapterInfo
    adapters: Mapping[str, Adapter]
    strength: float = 1.0
    inverted: Tensor | None = None
    noise: NoiseInfo | None = None
    previews: Sequence[bytes] = ()


# Socket MOTION_ADAPTER: motions that are played together.
MotionStack = tuple[Motion, ...]

# Socket MOTION_CLIPS: what a training learns from, all of one size and length, or images.
MotionClips = tuple["Clip", ...]

MotionBaseSocket = io.Custom("MOTION_BASE")
MotionAdapterSocket = io.Custom("MOTION_ADAPTER")
MotionClipsSocket = io.Custom("MOTION_CLIPS")


def played(stack: Sequence[Motion]) -> list[tuple[Adapter, float]]:
    """The adapters that a sample applies, each with its strength; those of strength 0 are left out.

    Of each file, what it says itself that samples show, else what moves, else all of it.
    """
    # Imported here: it needs diffusers.
    from ..motion_core.adapters.base import names_of_scopes

    return [
        (motion.adapters[name], motion.strength)
        for motion in stack
        if motion.strength != 0.0
        for name in motion.info.shown or names_of_scopes(motion.adapters)
    ]
