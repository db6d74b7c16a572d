"""The last sample of a run, kept exactly for when its adapter is reused.

In and out: frames (F, 3, H, W) in [-1, 1] for each prompt, rounded to the 8 bits of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...motion_core.files import remove_file
from ...motion_core.training.records import read_object, write_json
from ...motion_core.video.pictures import read_image
from ...motion_core.video.writing import write_frames

_FRAMES, _SHOWN = "last_sample", "last_sample.json"


def keep_samples(
    run_folder: Path, frames: Sequence[Tensor], prompts: Sequence[str], step: int
) -> None:
    """Replaces what was kept before. prompts, step: what the frames show."""
    remove_file(run_folder / _SHOWN)  # frames without it don't count
    write_frames(run_folder / _FRAMES, torch.cat(list(frames)))
    write_json(run_folder / _SHOWN, _shown(prompts, step))


def last_samples(run_folder: Path, prompts: Sequence[str], step: int) -> list[Tensor] | None:
    """The frames that were kept; None if there are none, or they show other prompts or another
    step.
    """
    if read_object(run_folder / _SHOWN) != _shown(prompts, step):
        return None
    paths = sorted((run_folder / _FRAMES).glob("*.png"))
    if not paths or len(paths) % len(prompts):
        return None
    frames = torch.stack([read_image(path) for path in paths])
    return list(frames.split(len(paths) // len(prompts)))


def _shown(prompts: Sequence[str], step: int) -> dict[str, object]:
    """One prompt as version 0.1.0 wrote it."""
    told = {"prompt": prompts[0]} if len(prompts) == 1 else {"prompts": list(prompts)}
    return {**told, "step": step}


def forget_samples(run_folder: Path, after: int) -> None:
    """Frames of a later step don't count any more: the run does it again."""
    if read_object(run_folder / _SHOWN).get("step", 0) > after:
        remove_file(run_folder / _SHOWN)
