"""Rows made by hand, for tests of what is read from them."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.papers.results import ClipRecord, RowResult, TrainingResult

SEEN = {"colour": "blue", "shape": "square", "background": "white", "look": "solid"}


def training(
    fidelity: Sequence[float],
    appearance: Sequence[float] | None = None,
    leakage: Sequence[float] | None = None,
    *,
    seed: int = 0,
    train_seconds: float | None = 90.0,
    prompts: Sequence[str] = (),
) -> TrainingResult:
    """One clip a prompt ("prompt 0" and so on), or the prompts given."""
    count = len(fidelity)
    appearance, leakage = appearance or [1] * count, leakage or [0] * count
    clips = [
        ClipRecord(
            prompt=prompt,
            seed=1,
            motion_fidelity=scores[0],
            appearance_accuracy=scores[1],
            leakage=scores[2],
            seen=SEEN,
        )
        for prompt, *scores in zip(
            prompts or [f"prompt {index}" for index in range(count)],
            fidelity,
            appearance,
            leakage,
            strict=True,
        )
    ]
    return TrainingResult(
        seed=seed,
        key="",
        code="",
        clips=clips,
        train_seconds=train_seconds,
        sample_seconds=4.0,
        parameters={},
    )


def row(name: str, *trainings: TrainingResult) -> RowResult:
    return RowResult(name=name, settings={}, trainings=trainings)


# 24 prompts, so that p can be as small as the bootstrap's own: 1/20001.
HIGH = row("high", training([0.75, 0.875, 1.0, 0.875] * 6))  # mean 0.875
LOW = row("low", training([0.5, 0.625, 0.75, 0.625] * 6))  # HIGH − 0.25 with every prompt
MIXED = row("mixed", training([1.0, 0.625, 1.25, 0.625] * 6))  # HIGH ± 0.25, in turn
