"""Which frames of a video make a clip, and at what size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..settings import Settings, require, setting

Fit = Literal["crop", "pad", "stretch"]


def pixels(default: int | None, help: str, **declared: Any) -> Any:
    """A width or a height. help: beside the multiple."""
    return setting(
        default,
        low=8,
        multiple_of=8,
        widget_high=2048,
        step=8,
        help=f"Pixels, a multiple of 8. {help}",
        **declared,
    )


@dataclass(frozen=True, kw_only=True)
class ClipSettings(Settings):
    """An image folder, which has no rate, is taken to run at `fps`, by default 8. One frame is only
    taken where there is no other."""

    frames: int = setting(
        16,
        low=1,
        widget_high=128,
        help="Frames per clip. More frames show a longer motion and take more memory. "
        "AnimateDiff v1 supports up to 24, v2 and v3 up to 32; it was trained on 16.",
    )
    start_seconds: float = setting(
        0.0,
        low=0,
        widget_high=100000,
        step=0.1,
        flag="--start",
        help="Where the first clip starts, in seconds from the beginning of the video.",
    )
    stride: int = setting(
        1,
        low=1,
        widget_high=64,
        help="Take every n-th frame at the video's own rate: 2 doubles the speed of the motion "
        "and the time that a clip covers. Used if fps is not given.",
    )
    fps: float | None = setting(
        None,
        above=0,
        widget_high=120,
        step=0.5,
        widget_none=0.0,
        none="keeps the video's own rate and uses stride",
        help="Resample the video to this frame rate, in frames per second, at most its own. The "
        "base models were trained at 8 fps.",
    )
    width: int | None = pixels(
        None,
        "Smaller sizes take less memory and time. 512 for AnimateDiff, 384 or 576 for ZeroScope, "
        "64 for the sample base.",
        widget_none=0,
        none="keeps the source's proportions",
    )
    height: int | None = pixels(
        None,
        "512 for AnimateDiff, 384 or 320 for ZeroScope, 64 for the sample base.",
        widget_none=0,
        none="keeps the source's proportions",
    )
    fit: Fit = setting(
        "crop",
        help="If the proportions differ: crop keeps the middle, pad adds black bars, stretch "
        "distorts.",
    )
    windows: int = setting(
        1,
        low=1,
        widget_high=32,
        help="Number of clips to cut from one video, spread evenly from the start to the end; "
        "they may overlap. More clips show more of a long or repeated motion.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        one = self.fps is None or self.stride == 1
        others = f"1 if fps is given too (it is {self.fps}); leave one of them out"
        require(one, "stride", self.stride, others)
