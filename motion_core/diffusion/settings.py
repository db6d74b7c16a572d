"""How a video is sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..settings import Settings, setting
from ..video.settings import pixels

FewSteps = Literal["off", "lcm", "lightning"]


@dataclass(frozen=True, kw_only=True)
class SampleSettings(Settings):
    """The sampler's settings. Defaults: MotionDirector's and Motion Inversion's on ZeroScope."""

    steps: int = setting(
        30,
        low=1,
        widget_high=1000,
        help="Denoising steps (DDIM); more steps are finer, and take time in proportion.",
    )
    guidance_scale: float = setting(
        12.0,
        low=1,
        widget_high=50,
        step=0.5,
        help="How closely the prompt is followed; higher values are also harsher. 1 turns "
        "guidance off and takes half the time.",
    )
    guidance_rescale: float = setting(
        0.0,
        low=0,
        high=1,
        step=0.05,
        source="arXiv 2305.08891, Sec. 3.4: 0.7 for v-prediction with zero terminal SNR",
        help="Reduces over-exposure from strong guidance; 0 is off, 0.7 is common.",
    )
    frames: int = setting(
        16,
        low=1,
        widget_high=256,
        flag="--num-frames",
        help="Frames of the video. More frames take more memory and time.",
    )
    width: int = pixels(384, "Larger sizes take more memory and time.")
    height: int = pixels(384, "Larger sizes take more memory and time.")
    seed: int = setting(
        0,
        low=0,
        high=2**63 - 1,
        help="Determines the starting noise: the same seed gives the same video.",
    )
    negative_prompt: str = setting("", lines=True, help="What the video should not show.")
    noise_prior: float = setting(
        0.0,
        low=0,
        high=1,
        step=0.05,
        help="Share of the reference's inverted noise: 0 is fresh noise; higher values follow "
        "the clip's layout and motion more closely, and its appearance too. The papers use 0 to "
        "0.5.",
    )
    adapter_end: float = setting(
        1.0,
        above=0,
        high=1,
        step=0.05,
        help="Share of the steps in which adapters are applied. Motion is decided in the first "
        "steps: a smaller share preserves the base's appearance.",
    )
    temporal_scale: float = setting(
        1.0, help="Multiplies the strength of everything that affects motion."
    )
    spatial_scale: float = setting(
        1.0,
        help="Multiplies the strength of everything that affects appearance. Setting it also "
        "applies the appearance.",
    )
    few_steps: FewSteps = setting(
        "off",
        source="model cards of wangfuyun/AnimateLCM and ByteDance/AnimateDiff-Lightning",
        help="For models distilled to a few steps. lcm: AnimateLCM or an LCM LoRA, 4 to 8 steps "
        "and a guidance of 1 to 2. lightning: AnimateDiff-Lightning, as many steps as its file's "
        "name says and a guidance of 1. off: DDIM.",
    )
