"""The last sample of a finished run, kept exactly for when its adapter is reused.

In and out: frames (F, 3, H, W) in [-1, 1], rounded to the 8 bits of an image.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..motion_core.frame_sources import read_image
from ..motion_core.media import write_frames

_FRAMES, _PROMPT = "last_sample", "last_sample.txt"


def keep_samples(run_folder: Path, frames: Tensor, prompt: str) -> None:
    """Replaces what was kept before. prompt: that the frames show."""
    prompt_file = run_folder / _PROMPT
    prompt_file.unlink(missing_ok=True)  # frames without it don't count, if this is cut short
    write_frames(run_folder / _FRAMES, frames)
    prompt_file.write_text(prompt, encoding="utf-8")


def last_samples(run_folder: Path, prompt: str) -> Tensor | None:
    """The frames that were kept; None if there are none, or they show another prompt."""
    prompt_file = run_folder / _PROMPT
    if not prompt_file.is_file() or prompt_file.read_text(encoding="utf-8") != prompt:
        return None
    paths = sorted((run_folder / _FRAMES).glob("*.png"))
    return torch.stack([read_image(path) for path in paths]) if paths else None
