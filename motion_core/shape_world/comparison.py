"""Base against adapted on shape world: samples prompts and seeds, scores every clip, keeps some
for the eye.

In: a base, adapters, the reference's scene and the prompts' subjects. Out: means of the scores,
and the clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..adapters.base import Adapter
from ..backbones.base import Backbone
from ..diffusion.settings import SampleSettings
from .renderer import Scene
from .sampling import sample_clips
from .scores import ClipScore, Subject, score_clip, summary


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A reference scene and what to ask for: every subject with every seed, doing what the
    reference does."""

    reference: Scene
    subjects: Sequence[Subject]
    seeds: Sequence[int]

    def wanted(self) -> list[tuple[str, int]]:
        """(prompt, seed) of every clip, subjects first."""
        phrase = self.reference.phrase
        return [(subject.prompt(phrase), seed) for seed in self.seeds for subject in self.subjects]

    def score(self, clips: Sequence[Tensor]) -> list[ClipScore]:
        """Scores of the clips in the order of `wanted`."""
        scene = self.reference
        worn = Subject(colour=scene.colour, shape=scene.shape, background=scene.background)
        path = scene.track.on_screen()
        asked = [subject for _ in self.seeds for subject in self.subjects]
        return [score_clip(f, one, path, worn) for f, one in zip(clips, asked, strict=True)]

    def run(
        self,
        backbone: Backbone,
        adapters: Sequence[tuple[Adapter, float]],
        settings: SampleSettings,
        inverted: Tensor | None = None,
    ) -> tuple[dict[str, float], list[Tensor]]:
        """Samples all wanted clips and returns the means of their scores, and the clips."""
        clips = sample_clips(backbone, self.wanted(), adapters, settings, inverted)
        return summary(self.score(clips)), clips
