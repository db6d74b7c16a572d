"""The last sample of a run, kept exactly for when its adapter is reused.

In and out: frames (F, 3, H, W) in [-1, 1], rounded to the 8 bits of an image.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ...motion_core.files import remove_file
from ...motion_core.training.records import read_object, write_json
from ...motion_core.video.pictures import read_image
from ...motion_core.video.writing import write_frames

_FRAMES, _SHOWN = "last_sample", "last_sample.json"


def keep_samples(run_folder: Path, frames: Tensor, prompt: str, step: int) -> None:
    """Replaces what was kept before. prompt, step: what the frames show."""
    remove_file(run_folder / _SHOWN)  # frames without it don't count
    write_frames(run_folder / _FRAMES, frames)
    write_json(run_folder / _SHOWN, {"prompt": prompt, "step": step})


def last_samples(run_folder: Path, prompt: str, step: int) -> Tensor | None:
    """The frames that were kept; None if there are none, or they show another prompt or step."""
    if read_object(run_folder / _SHOWN) != {"prompt": prompt, "step": step}:
        return None
    paths = sorted((run_folder / _FRAMES).glob("*.png"))
    return torch.stack([read_image(path) for path in paths]) if paths else None


def forget_samples(run_folder: Path, after: int) -> None:
    """Frames of a later step don't count any more: the run does it again."""
    if read_object(run_folder / _SHOWN).get("step", 0) > after:
        remove_file(run_folder / _SHOWN)
