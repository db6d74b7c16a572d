"""What one row of the benchmark came out as: every clip's scores, and what it took.

A row is kept as plain values, training by training, each with the key of what decided it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from motion_core.shape_world.scores import ClipScore

from .intervals import Estimate, estimate, share_difference, share_estimate

FIDELITY, APPEARANCE, LEAKAGE = "motion_fidelity", "appearance_accuracy", "leakage"
SCORES = (FIDELITY, APPEARANCE, LEAKAGE)
SHARES = (APPEARANCE, LEAKAGE)
"""Scores that are 0 or 1 of a clip."""
WORDS = {FIDELITY: "motion fidelity", APPEARANCE: "appearance accuracy", LEAKAGE: "leakage"}
SEEN = ("colour", "shape", "background", "look")

Clips = Mapping[str, tuple[int, ...]]
"""The seeds of the clips' noise, by prompt."""


@dataclass(frozen=True, kw_only=True)
class ClipRecord:
    """One clip. motion_fidelity: -1 to 1. appearance_accuracy, leakage: 0 or 1. seen: colour,
    shape, background and look as recognised in its pixels.
    """

    prompt: str
    seed: int
    motion_fidelity: float
    appearance_accuracy: float
    leakage: float
    seen: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """One training of a row, and its clips.

    seed: of the training. key: a digest of all that decides the clips but code; code: a digest of
    that. train_seconds: spent in training steps, None for a base without adapter; of a training
    that several rows share it is the whole. Seconds are as in `Clock`. parameters: trained, by
    adapter.
    """

    seed: int
    key: str
    code: str
    clips: Sequence[ClipRecord]
    train_seconds: float | None
    sample_seconds: float
    parameters: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """A measured row. settings: tables "objective", "train", "options" and "sample", as plain
    values, but for the training's seed. trainings: one or more.
    """

    name: str
    settings: Mapping[str, Any]
    trainings: Sequence[TrainingResult] = field(default_factory=tuple)

    @property
    def trained(self) -> bool:
        """False of a base, whose clips are the same whatever the training's seed."""
        return self.trainings[0].train_seconds is not None

    @property
    def train_seconds(self) -> float | None:
        """The trainings' mean."""
        took = [one.train_seconds for one in self.trainings if one.train_seconds is not None]
        return sum(took) / len(took) if took else None

    @property
    def sample_seconds(self) -> float:
        """The mean of all samples of a training."""
        return sum(one.sample_seconds for one in self.trainings) / len(self.trainings)

    def clips(self) -> Clips:
        """The prompts and seeds that every training was sampled with."""
        seeds: dict[str, tuple[int, ...]] = {}
        for clip in self.trainings[0].clips:
            seeds[clip.prompt] = (*seeds.get(clip.prompt, ()), clip.seed)
        return seeds

    def cells(self, score: str, prompts: Sequence[str], trainings: Sequence[int]) -> np.ndarray:
        """(trainings, prompts): the means of each prompt's clips. A base's stand for every
        training.
        """
        by_seed = {one.seed: one for one in self.trainings}
        chosen = [by_seed[seed] if self.trained else self.trainings[0] for seed in trainings]
        return np.array([_prompt_means(one.clips, score, prompts) for one in chosen])

    def estimate(self, score: str) -> Estimate:
        cells = self.cells(score, list(self.clips()), [one.seed for one in self.trainings])
        return share_estimate(cells) if score in SHARES else estimate(cells, -1.0, 1.0)


Results = Mapping[str, RowResult]
"""By the rows' names."""


def common_clips(ours: RowResult, theirs: RowResult) -> tuple[list[str], list[int]] | None:
    """The prompts and the trainings' seeds that two rows have in common, to be compared one by one;
    None if there are none.
    """
    other = theirs.clips()
    prompts = [prompt for prompt, seeds in ours.clips().items() if other.get(prompt) == seeds]
    seeds = [one.seed for one in (ours if ours.trained else theirs).trainings]
    if ours.trained and theirs.trained:
        theirs_too = {one.seed for one in theirs.trainings}
        seeds = [seed for seed in seeds if seed in theirs_too]
    return (prompts, seeds) if prompts and seeds else None


def difference(ours: RowResult, theirs: RowResult, score: str) -> Estimate:
    """ours − theirs on the clips that both have: what they owe to a prompt, its noise and a
    training's seed falls away.
    """
    common = common_clips(ours, theirs)
    assert common, (ours.name, theirs.name)
    cells = [row.cells(score, *common) for row in (ours, theirs)]
    return share_difference(*cells) if score in SHARES else estimate(cells[0] - cells[1])


def clip_record(prompt: str, seed: int, scores: Sequence[ClipScore]) -> ClipRecord:
    """scores: of one clip against each wearer of the motion; a leak of any of them is one."""
    return ClipRecord(
        prompt=prompt,
        seed=seed,
        motion_fidelity=round(scores[0].motion_fidelity, 6),
        appearance_accuracy=float(scores[0].accurate),
        leakage=float(any(score.leaks for score in scores)),
        seen=scores[0].seen._asdict(),
    )


def training_to_plain(training: TrainingResult) -> dict[str, Any]:
    """The training for JSON; `training_from_plain` reads it back. A clip is a list, as there are
    many.
    """
    return {**vars(training), "clips": [_clip_to_plain(clip) for clip in training.clips]}


def training_from_plain(plain: Mapping[str, Any]) -> TrainingResult:
    return TrainingResult(**{**plain, "clips": tuple(_clip_from_plain(c) for c in plain["clips"])})


def _prompt_means(clips: Sequence[ClipRecord], score: str, prompts: Sequence[str]) -> list[float]:
    values: dict[str, list[float]] = {}
    for clip in clips:
        values.setdefault(clip.prompt, []).append(getattr(clip, score))
    return [float(np.mean(values[prompt])) for prompt in prompts]


def _clip_to_plain(clip: ClipRecord) -> list[object]:
    seen = " ".join(clip.seen[name] for name in SEEN)
    scores = [int(clip.appearance_accuracy), int(clip.leakage)]
    return [clip.prompt, clip.seed, clip.motion_fidelity, *scores, seen]


def _clip_from_plain(plain: Sequence[Any]) -> ClipRecord:
    prompt, seed, fidelity, accurate, leaks, seen = plain
    return ClipRecord(
        prompt=prompt,
        seed=seed,
        motion_fidelity=fidelity,
        appearance_accuracy=float(accurate),
        leakage=float(leaks),
        seen=dict(zip(SEEN, seen.split(), strict=True)),
    )
