"""Whose frames the group norms of an AnimateDiff UNet take together.

In: a UNet that lays the frames of its videos out as a batch, (B·F, C, h, w). diffusers normalises
each frame by itself in the spatial layers, and all frames of a video together in the motion
modules. AnimateDiff's versions do it as follows, and so do we:

| version     | spatial layers | motion modules      |
|-------------|----------------|---------------------|
| v1          | all together   | all together        |
| v2, v3      | each by itself | each by itself      |
| shape world | each by itself | all together        |

Deviation: v1 is not as in diffusers but as AnimateDiff-Evolved 1.5.7 plays it: every group norm of
the UNet and the motion modules (animatediff/sampling.py, `groupnorm_mm_factory`). In the authors'
code v1's resnets and the last norm see all frames (guoyww/AnimateDiff, animatediff/models/resnet.py
and unet.py without `use_inflated_groupnorm`), while the norms of transformers, spatial and
temporal, see each by itself (attention.py, motion_module.py). Where those two differ, a motion is
trained for where it is played.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import Tensor, nn

from .temporal import normalise_as_original

# How the versions of AnimateDiff's own motion modules begin, and the first of them.
_ORIGINAL, _FIRST = "animatediff-", "animatediff-sd15-v1"


def sees_all_frames(version: str) -> bool:
    """Whether the spatial layers' group norms take all frames of a video together."""
    return version == _FIRST


def normalise_as_version(network: nn.Module, version: str) -> None:
    """Makes the group norms of a UNet, or of motion modules alone, those of `version`, for good."""
    if sees_all_frames(version):
        _normalise_across_frames(network)
    elif version.startswith(_ORIGINAL):
        normalise_as_original(network)


def as_video(frames_apart: Tensor, frames: int) -> Tensor:
    """(B·F, C, h, w) to (B, C, F, h, w), which a group norm takes together."""
    return frames_apart.unflatten(0, (-1, frames)).transpose(1, 2)


def as_frames(video: Tensor) -> Tensor:
    """(B, C, F, h, w) to (B·F, C, h, w)."""
    return video.transpose(1, 2).flatten(0, 1)


@dataclass
class FrameCount:
    """The frames of each video that a UNet is given; its norms share it."""

    frames: int = 1

    def note(self, unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Before each call of the UNet, whose sample is (B, C, F, h, w)."""
        self.frames = (args[0] if args else kwargs["sample"]).shape[2]

    @contextmanager
    def held(self, frames: int) -> Iterator[None]:
        before, self.frames = self.frames, frames
        try:
            yield
        finally:
            self.frames = before


class AcrossFramesNorm(nn.GroupNorm):
    """A group norm that takes all frames of a video together; of one frame it makes the same."""

    count: FrameCount

    def forward(self, input: Tensor) -> Tensor:
        return as_frames(super().forward(as_video(input, self.count.frames)))


def with_frames_of_now(layer: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
    """The layer's `forward`, to be computed again later: its norms then take as many frames
    together as they do now, whatever the UNet has been given since.
    """
    counts = (part.count for part in layer.modules() if isinstance(part, AcrossFramesNorm))
    count = next(counts, None)
    if count is None:
        return forward
    frames = count.frames

    def run(*args: Any, **kwargs: Any) -> Any:
        with count.held(frames):
            return forward(*args, **kwargs)

    return run


def _normalise_across_frames(network: nn.Module) -> None:
    """Of motion modules alone nothing changes: diffusers' take all frames together. As there a
    norm's class is replaced, not its `forward`.
    """
    motion = (part for part in network.modules() if isinstance(part, AnimateDiffTransformer3D))
    temporal = {norm for module in motion for norm in module.modules()}
    norms = [part for part in network.modules() if isinstance(part, nn.GroupNorm)]
    spatial = [norm for norm in norms if norm not in temporal]
    count = FrameCount()
    for norm in spatial:
        norm.__class__ = AcrossFramesNorm
        norm.count = count  # type: ignore[assignment]
    if spatial:
        network.register_forward_pre_hook(count.note, with_kwargs=True)
