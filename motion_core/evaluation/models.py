"""The models that an evaluation measures with: from what the user has to scorers, and what is
missing.

In: paths and names (`ModelFiles`), and the reference. Out: scorers, and for every metric without
its model what to place where. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from ..errors import SettingsError
from . import clip_scores, opencv_tracker, pick_score, tracklet_scores, videomae
from .base import Metric, Scorer
from .clip_model import SHAPE_WORLD, ClipModel, open_clip_model, shape_world_clip
from .cotracker import load_cotracker
from .tracklet_scores import Tracker, tracklet_scorer
from .videos import Video

METRICS: dict[str, Metric] = {
    **clip_scores.METRICS,
    **tracklet_scores.METRICS,
    **videomae.METRICS,
    **pick_score.METRICS,
}

NO_CLIP = (
    "needs a CLIP model. Set clip-model to ViT-H-14 and clip-weights to "
    "open_clip_pytorch_model.bin from laion/CLIP-ViT-H-14-laion2B-s32B-b79K (or another "
    "open_clip model with its file); for shape world's videos, set only clip-model, to "
    "shape-world."
)
NO_VIDEOMAE = (
    "needs VideoMAE. Set videomae to a folder with config.json and model.safetensors from "
    "MCG-NJU/videomae-base."
)
NO_PICK_SCORE = (
    "needs PickScore. Set pick-score to a folder with config.json and model.safetensors from "
    "yuvalkirstain/PickScore_v1."
)
NO_COTRACKER = (
    "needs CoTracker. Install its package cotracker or set cotracker to a checkout of "
    "facebookresearch/co-tracker, and set cotracker-weights to its scaled_offline.pth; or use "
    "tracker opencv."
)
NO_REFERENCE = "needs the video whose motion was trained. Give it as reference."
NO_PROMPT = "needs what the videos should show. Give a prompt."
NO_ENTITY = 'needs the entity only, such as "a panda". Give an entity-prompt.'
NO_MOTION = "the tracker finds nothing that moves in the reference."


@dataclass(frozen=True, kw_only=True)
class ModelFiles:
    """What the user has; None where there is nothing.

    clip_model: a name of open_clip's with clip_weights, its file; or "shape-world". videomae,
    pick_score: folders of transformers models. tracker: OpenCV's needs no files. cotracker: a
    checkout, where the package is not installed; cotracker_weights: a file.
    """

    clip_model: str | None = None
    clip_weights: Path | None = None
    videomae: Path | None = None
    pick_score: Path | None = None
    tracker: Literal["opencv", "cotracker"] = "opencv"
    cotracker: Path | None = None
    cotracker_weights: Path | None = None

    def __post_init__(self) -> None:
        if self.clip_weights and self.clip_model in (None, SHAPE_WORLD):
            raise SettingsError(
                f"clip-weights is {self.clip_weights}, but clip-model is {self.clip_model}. Set "
                "it to the open_clip model that the weights belong to, such as ViT-H-14."
            )
        if self.tracker == "opencv" and (self.cotracker or self.cotracker_weights):
            raise SettingsError(
                "The CoTracker files have no effect unless tracker is cotracker. Set it."
            )


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Which texts there are for every video."""

    prompt: bool
    entity_prompt: bool


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """scorers, and missing: what each metric needs that none of them gives."""

    scorers: Sequence[Scorer]
    missing: Mapping[str, str]


def load_scorers(
    files: ModelFiles, reference: Video | None, texts: Texts, device: torch.device | str = "cpu"
) -> Loaded:
    """Loads what `files` names; the reference is looked at once. Raises FormatError for files of
    another kind, and those that are named but not there."""
    families = (
        _clip(files, texts, device),
        _tracklets(files, reference, device),
        _videomae(files, reference, device),
        _pick_score(files, texts, device),
    )
    missing = {name: why for family in families for name, why in family.missing.items()}
    return Loaded(
        scorers=[scorer for family in families for scorer in family.scorers],
        missing={name: missing[name] for name in METRICS if name in missing},
    )


def _clip(files: ModelFiles, texts: Texts, device: torch.device | str) -> Loaded:
    clip = _clip_model(files, device)
    if clip is None:
        return _missing(clip_scores.METRICS, NO_CLIP)
    needs = {
        "clip_t": None if texts.prompt else NO_PROMPT,
        "clip_e": None if texts.entity_prompt else NO_ENTITY,
    }
    missing = {name: why for name, why in needs.items() if why}
    return Loaded(scorers=[clip_scores.ClipScorer(clip=clip)], missing=missing)


def _clip_model(files: ModelFiles, device: torch.device | str) -> ClipModel | None:
    if files.clip_model == SHAPE_WORLD:
        return shape_world_clip(device)
    if files.clip_model is None or files.clip_weights is None:
        return None
    return open_clip_model(files.clip_model, files.clip_weights, device)


def _tracklets(files: ModelFiles, reference: Video | None, device: torch.device | str) -> Loaded:
    if reference is None:
        return _missing(tracklet_scores.METRICS, NO_REFERENCE)
    tracker = _tracker(files, device)
    if tracker is None:
        return _missing(tracklet_scores.METRICS, NO_COTRACKER)
    scorer = tracklet_scorer(tracker, reference)
    if scorer is None:
        return _missing(tracklet_scores.METRICS, NO_MOTION)
    return Loaded(scorers=[scorer], missing={})


def _tracker(files: ModelFiles, device: torch.device | str) -> Tracker | None:
    if files.tracker == "opencv":
        return Tracker(name="OpenCV", track=opencv_tracker.track)
    if files.cotracker_weights is None:
        return None
    return load_cotracker(files.cotracker_weights, files.cotracker, device)


def _videomae(files: ModelFiles, reference: Video | None, device: torch.device | str) -> Loaded:
    if files.videomae is None:
        return _missing(videomae.METRICS, NO_VIDEOMAE)
    if reference is None:
        return _missing(videomae.METRICS, NO_REFERENCE)
    model = videomae.load_videomae(files.videomae, device)
    return Loaded(scorers=[videomae.videomae_scorer(model, reference)], missing={})


def _pick_score(files: ModelFiles, texts: Texts, device: torch.device | str) -> Loaded:
    if files.pick_score is None:
        return _missing(pick_score.METRICS, NO_PICK_SCORE)
    if not texts.prompt:
        return _missing(pick_score.METRICS, NO_PROMPT)
    scorer = pick_score.load_pick_score(files.pick_score, device)
    return Loaded(scorers=[scorer], missing={})


def _missing(metrics: Mapping[str, Metric], why: str) -> Loaded:
    return Loaded(scorers=[], missing=dict.fromkeys(metrics, why))
