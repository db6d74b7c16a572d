"""What a video is sampled at where nothing else is asked for: as the motion was trained, else as
the base is usually sampled.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..bases import BaseDefaults
from .own import AdapterInfo


def sample_defaults(base: BaseDefaults, infos: Sequence[AdapterInfo]) -> dict[str, object]:
    """Fields of SampleSettings. infos: of the adapters that play, the first of a video counts."""
    trained = first_video(infos)
    size = base if trained is None else trained
    return {
        "steps": base.sample_steps,
        "guidance_scale": base.guidance_scale,
        "adapter_end": base.adapter_end,
        "frames": size.frames,
        "width": size.width,
        "height": size.height,
    }


def sample_fps(base: BaseDefaults, infos: Sequence[AdapterInfo]) -> float:
    """Frames a second: of the first adapter of a video, else the base's."""
    trained = first_video(infos)
    return base.fps if trained is None else trained.fps


def first_video(infos: Sequence[AdapterInfo]) -> AdapterInfo | None:
    """The first that was trained on a video and whose file says at which size."""
    return next((info for info in infos if info.frames > 1 and not info.is_foreign), None)
