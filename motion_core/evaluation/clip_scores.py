"""CLIP-T, CLIP-E and temporal consistency: cosines of CLIP features.

Papers: MotionDirector (2310.08465), section 4 (CLIP-T over all frames; consistency between
frames); MoTrans (2412.01343), section 4.1 (CLIP-E, the entity alone); MotionCrafter v2, "Metrics"
(consistency of adjacent frames); Motion Inversion (2403.20193), section 4.2 (of all pairs).

The values are cosines; MotionDirector prints 100 times as much.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .base import Metric, Subject
from .clip_model import ClipModel

METRICS = {
    "clip_t": Metric(
        title="CLIP-T",
        meaning="frames match the prompt",
        scale="-1..1",
        source="MotionDirector, section 4; Motion Inversion, section 4.2; MoTrans, section 4.1",
    ),
    "clip_e": Metric(
        title="CLIP-E",
        meaning="frames show the entity",
        scale="-1..1",
        source="MoTrans, section 4.1",
    ),
    "consistency_adjacent": Metric(
        title="consistency (adjacent)",
        meaning="each frame is similar to the one before",
        scale="-1..1",
        source="MotionCrafter v2, quantitative evaluation",
    ),
    "consistency_pairs": Metric(
        title="consistency (pairs)",
        meaning="all frames are similar",
        scale="-1..1",
        source="Motion Inversion, section 4.2",
    ),
}


def text_similarity(images: Tensor, text: Tensor) -> float:
    """Mean cosine of unit features of frames (F, D) with those of a text (D,), in [-1, 1]."""
    return float((images @ text).mean())


def adjacent_consistency(images: Tensor) -> float:
    """Mean cosine of the unit features (F, D) of each frame and the next, in [-1, 1]; F at least
    2."""
    return float((images[:-1] * images[1:]).sum(dim=1).mean())


def pairwise_consistency(images: Tensor) -> float:
    """Mean cosine of the unit features (F, D) over all F(F-1)/2 pairs of different frames."""
    count = len(images)
    return float((images @ images.T).triu(diagonal=1).sum() / (count * (count - 1) / 2))


@dataclass(frozen=True, kw_only=True)
class ClipScorer:
    """The four metrics; those of a text only where the subject has it."""

    clip: ClipModel

    @property
    def model(self) -> str:
        return f"CLIP {self.clip.name}"

    def score(self, subject: Subject) -> dict[str, float]:
        images = self.clip.images(subject.video.frames)
        texts = {"clip_t": subject.prompt, "clip_e": subject.entity_prompt}
        asked = {name: text for name, text in texts.items() if text is not None}
        scores = {
            name: text_similarity(images, self.clip.texts([text])[0])
            for name, text in asked.items()
        }
        return {
            **scores,
            "consistency_adjacent": adjacent_consistency(images),
            "consistency_pairs": pairwise_consistency(images),
        }
