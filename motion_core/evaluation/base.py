"""What an evaluation is made of: metrics, the scorers that give them, and one video's scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from .videos import Video

POINTS = "moving_points"
"""How many moving points were followed: no metric, but how far one by them can be trusted."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """title: heads a column. meaning: one line for people. scale: the range of its values. source:
    paper and place of the definition. For all metrics more is better."""

    title: str
    meaning: str
    scale: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A video with what it should show. prompt, entity_prompt: None where there is none."""

    video: Video
    prompt: str | None = None
    entity_prompt: str | None = None


class Scorer(Protocol):
    """One family of metrics, with its model loaded."""

    @property
    def model(self) -> str:
        """The model in words, for the record."""
        ...

    def score(self, subject: Subject) -> Mapping[str, float]:
        """Values by the metrics' names, and POINTS where it follows some. Raises MotionError for a
        video that does not fit.
        """
        ...
