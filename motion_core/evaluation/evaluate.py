"""Evaluates videos by every metric whose model is there.

In: an `EvaluationRequest`, of which one video is in memory at a time, or frames. Out: a `Report`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..errors import SettingsError
from .base import POINTS, Subject
from .models import METRICS, Loaded, ModelFiles, Texts, load_scorers
from .report import Report, VideoScores
from .tracklet_scores import TrackletScorer, require_same_length
from .videos import Video, VideoSettings, load_video, video_length, video_paths


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """What to evaluate.

    videos: files and folders. reference: the video whose motion was learned, or None. prompts,
    entity_prompts: none, one for all videos, or one for each. settings: which frames are read, of
    the reference too.
    """

    videos: tuple[Path, ...]
    reference: Path | None = None
    prompts: tuple[str, ...] = ()
    entity_prompts: tuple[str, ...] = ()
    settings: VideoSettings = field(default_factory=VideoSettings)
    files: ModelFiles = field(default_factory=ModelFiles)


def evaluate(
    request: EvaluationRequest,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Scores all videos. progress: called with how many videos are done, and how many there are.

    Raises MotionError for videos that are not there, cannot be read or differ in length from the
    reference, for as many prompts as fit no videos, and for files of another model.
    """
    paths = video_paths(request.videos)
    if not paths:
        raise SettingsError("No videos to evaluate. Give a video, or a folder of videos.")
    prompts = _one_each(request.prompts, len(paths), "prompts")
    entities = _one_each(request.entity_prompts, len(paths), "entity prompts")
    reference = _single(request.reference) if request.reference else None
    _check_lengths(paths, reference, request.settings)
    loaded = _load(request, reference, device)
    videos: list[VideoScores] = []
    for path, prompt, entity in zip(paths, prompts, entities, strict=True):
        video = load_video(path, request.settings)
        subject = Subject(video=video, prompt=prompt, entity_prompt=entity)
        videos.append(_scored(subject, loaded))
        if progress:
            progress(len(videos), len(paths))
    return _report(videos, loaded, reference.name if reference else None)


def evaluate_frames(
    subjects: Sequence[Subject],
    reference: Video | None,
    files: ModelFiles,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Scores videos that are in memory; otherwise as `evaluate`.

    subjects: all with a prompt or none, and the same for the entity's. Raises MotionError for
    videos that differ in length from the reference, and for files of another model.
    """
    if reference is not None:
        for video in (subject.video for subject in subjects):
            length = len(reference.frames)
            require_same_length(video.name, len(video.frames), reference.name, length)
    texts = Texts(
        prompt=all(subject.prompt for subject in subjects),
        entity_prompt=all(subject.entity_prompt for subject in subjects),
    )
    loaded = load_scorers(files, reference, texts, device)
    videos: list[VideoScores] = []
    for subject in subjects:
        videos.append(_scored(subject, loaded))
        if progress:
            progress(len(videos), len(subjects))
    return _report(videos, loaded, reference.name if reference else None)


def _report(videos: Sequence[VideoScores], loaded: Loaded, reference: str | None) -> Report:
    return Report(
        metrics=METRICS,
        videos=videos,
        models=[scorer.model for scorer in loaded.scorers],
        missing=loaded.missing,
        reference=reference,
        reference_points=next(
            (s.reference_points for s in loaded.scorers if isinstance(s, TrackletScorer)), None
        ),
    )


def _load(request: EvaluationRequest, reference: Path | None, device: torch.device | str) -> Loaded:
    """The scorers; they keep what they need of the reference, and its frames are let go."""
    video = load_video(reference, request.settings) if reference else None
    texts = Texts(prompt=bool(request.prompts), entity_prompt=bool(request.entity_prompts))
    return load_scorers(request.files, video, texts, device)


def _scored(subject: Subject, loaded: Loaded) -> VideoScores:
    scores: dict[str, float] = {}
    for scorer in loaded.scorers:
        scores.update(scorer.score(subject))
    return VideoScores(
        video=subject.video.name,
        frames=len(subject.video.frames),
        fps=subject.video.fps,
        prompt=subject.prompt,
        entity_prompt=subject.entity_prompt,
        scores={name: scores[name] for name in METRICS if name in scores},
        points=int(scores[POINTS]) if POINTS in scores else None,
    )


def _one_each(texts: tuple[str, ...], count: int, what: str) -> list[str | None]:
    if any(not text.strip() for text in texts):
        raise SettingsError(f"One of the {what} is empty. Describe the video, or leave it out.")
    if len(texts) not in (0, 1, count):
        raise SettingsError(
            f"There are {len(texts)} {what} for {count} videos. Give one for all, or one each."
        )
    return [*texts] if len(texts) == count else [*(texts or (None,))] * count


def _check_lengths(paths: list[Path], reference: Path | None, settings: VideoSettings) -> None:
    """Finds videos that are too short, or of another length than the reference, before any work."""
    lengths = [video_length(path, settings) for path in paths]
    if reference is None:
        return
    asked = video_length(reference, settings)
    for path, length in zip(paths, lengths, strict=True):
        require_same_length(path.name, length, reference.name, asked)


def _single(path: Path) -> Path:
    found = video_paths([path])
    if len(found) != 1:
        raise SettingsError(f"{path.name} contains {len(found)} videos. Give only the reference.")
    return found[0]
