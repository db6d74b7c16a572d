"""What is asked of a row's adapters: a list of clips, each of somebody and with a noise of its own.

In: a row. Out: who is to be seen, the words, and the seed of the noise. A clip is recorded under
the whole caption of whom it is to show, so that clips of one subject are known as such, also where
the words leave looks out.
"""

from __future__ import annotations

from dataclasses import dataclass

from motion_core.shape_world.scores import Subject

from .motions import scene_of
from .rows import Row
from .subjects import others_of, subjects_for

FIRST_NOISE = 101
"""The seed of the first clip's noise; every other clip has the next."""
NOISES = 12
"""Of each wearer of another motion, of whom there are few."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One clip. words: that are sampled. caption: that it is recorded under. motion: that its
    subject wears in a reference clip, if it is known from there.
    """

    subject: Subject
    words: str
    caption: str
    seed: int
    motion: str | None = None


def asked_of(row: Row, prompts: int) -> list[Asked]:
    """All clips of a row. prompts: how many subjects, where the row does not say.

    Each has a noise of its own, so that resampling subjects resamples noises too.
    """
    variant, phrase = row.variant, scene_of(row.motion).phrase
    if variant.who == "wearers":
        others = others_of(row.motion).items()
        people = [(one, motion) for motion, one in others for _ in range(NOISES)]
    else:
        people = [(one, None) for one in subjects_for(row.motion, variant.prompts or prompts)]
    return [
        Asked(
            subject=one,
            words=variant.asked.format(caption=one.prompt(phrase), shape=one.shape, phrase=phrase),
            caption=one.prompt(phrase),
            seed=FIRST_NOISE + index,
            motion=motion,
        )
        for index, (one, motion) in enumerate(people)
    ]
