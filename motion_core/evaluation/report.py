"""What an evaluation found: as plain values for JSON, and as a table for people.

A metric that could not be measured has no number anywhere: it is listed with what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from .. import __version__
from .base import Metric

FORMAT_VERSION = 1
_MEAN = "mean"


@dataclass(frozen=True, kw_only=True)
class VideoScores:
    """One video: how much of it was read, what it should show, and its scores by the metrics'
    names. points: how many moving points of it were followed; None where none were looked for."""

    video: str
    frames: int
    fps: float
    prompt: str | None
    entity_prompt: str | None
    scores: Mapping[str, float]
    points: int | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """metrics: all there are, in the order of the table. models: what measured. missing: metrics
    that could not be measured, and what each needs. reference: its name, and reference_points: how
    many moving points of it were followed; None where there is none."""

    metrics: Mapping[str, Metric]
    videos: Sequence[VideoScores]
    models: Sequence[str]
    missing: Mapping[str, str]
    reference: str | None
    reference_points: int | None = None

    def means(self) -> dict[str, float]:
        """The mean over all videos of each metric that was measured."""
        return {
            name: fmean(video.scores[name] for video in self.videos)
            for name in self.metrics
            if name not in self.missing
        }

    def to_mapping(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "format_version": FORMAT_VERSION,
            "package_version": __version__,
            "reference": self.reference,
            "reference_points": self.reference_points,
            "models": list(self.models),
            "metrics": {name: vars(metric) for name, metric in self.metrics.items()},
            "videos": [{**vars(video), "scores": dict(video.scores)} for video in self.videos],
            "means": self.means(),
            "missing": dict(self.missing),
        }

    def lines(self) -> list[str]:
        """A table with a row a video and a last row of means, then on how many points the motion
        was measured, and what is missing and why.
        """
        shown = [name for name in self.metrics if name not in self.missing]
        rows = [("video", [self.metrics[name].title for name in shown])]
        rows += [(video.video, _cells(video.scores, shown)) for video in self.videos]
        if len(self.videos) > 1:
            rows.append((_MEAN, _cells(self.means(), shown)))
        lines = _aligned(rows) if shown else ["Nothing could be measured."]
        lines += self._points_lines()
        notes = [f"  {self.metrics[name].title}: {why}" for name, why in self.missing.items()]
        return [*lines, *(["", "missing:", *notes] if notes else [])]

    def _points_lines(self) -> list[str]:
        if self.reference_points is None:
            return []
        counts = [f"{video.video} {video.points}" for video in self.videos]
        return ["", f"moving points: reference {self.reference_points}, {', '.join(counts)}"]


def _cells(scores: Mapping[str, float], names: Sequence[str]) -> list[str]:
    return [f"{scores[name]:.4f}" for name in names]


def _aligned(rows: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    first = max(len(name) for name, _ in rows)
    widths = [
        max(len(cell) for cell in column) for column in zip(*(c for _, c in rows), strict=True)
    ]
    return [
        "  ".join([name.ljust(first), *(c.rjust(w) for c, w in zip(cells, widths, strict=True))])
        for name, cells in rows
    ]
