"""Tracklets with CoTracker, where the user has it: its package or its repository's folder, and
weights. Nothing is fetched.

Input: frames (F, 3, H, W) in [-1, 1]. Output: `Tracklets` of a grid of points of the first frame,
as Motion Inversion's metric (Eq. 6, after Yatim et al. 2311.17009) takes them.

Paper: Karaev et al., CoTracker3 (2410.11831); code: facebookresearch/co-tracker, the offline model.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from ..backbones.files.tensors import open_tensors
from ..errors import FormatError
from .tracklet_scores import Tracker
from .tracklets import Tracklets

GRID = 55
"""Points a side, as in Yatim et al.'s code."""


def load_cotracker(
    weights: Path, folder: Path | None = None, device: torch.device | str = "cpu"
) -> Tracker | None:
    """CoTracker3's offline model with weights such as scaled_offline.pth; None without the code.

    folder: a checkout of its repository, as torch hub keeps it; None: the installed package
    `cotracker`. Raises FormatError for a folder without it, and for weights of another model.
    """
    predictor = _predictor(folder)
    if predictor is None:
        return None
    file = open_tensors(weights)
    try:
        cast(nn.Module, predictor.model).load_state_dict(
            {name: file.read(name) for name in file.shapes}
        )
    except RuntimeError as error:
        raise FormatError(
            f"{file.name} does not contain the weights of CoTracker3's offline model. Give its "
            "scaled_offline.pth."
        ) from error
    predictor.eval().requires_grad_(False).to(device)
    return Tracker(name=f"CoTracker ({file.name})", track=_tracking(predictor, device))


def _tracking(predictor: nn.Module, device: torch.device | str) -> Callable[[Tensor], Tracklets]:
    @torch.no_grad()
    def track(frames: Tensor) -> Tracklets:
        video = ((frames + 1) * 127.5).to(device)[None]
        points, seen = predictor(video, grid_size=GRID)
        shorter = min(frames.shape[2:])
        return Tracklets(
            points=points[0].transpose(0, 1).float().cpu().numpy() / shorter,
            seen=seen[0].transpose(0, 1).bool().cpu().numpy(),
        )

    return track


def _predictor(folder: Path | None) -> nn.Module | None:
    """An untrained CoTrackerPredictor of the folder's or the installed package; None without."""
    if folder is not None and not (folder / "cotracker" / "predictor.py").is_file():
        raise FormatError(
            f"{folder} contains no cotracker/predictor.py. Give a checkout of "
            "facebookresearch/co-tracker."
        )
    try:
        with _importing_from(folder):
            module = importlib.import_module("cotracker.predictor")
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == "cotracker":
            return None
        raise FormatError(
            f"CoTracker needs the package {error.name}, which is not installed. Install it."
        ) from error
    return module.CoTrackerPredictor(checkpoint=None)


@contextmanager
def _importing_from(folder: Path | None) -> Iterator[None]:
    if folder is None:
        yield
        return
    sys.path.insert(0, str(folder.absolute()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.absolute()))
