"""What MoTrans is trained and sampled at, by base, videos and prompts."""

from __future__ import annotations

from collections.abc import Mapping

from ...adapters.verb.tokens import find_verb
from ..defaults import (
    ALPHA,
    Case,
    MethodDefaults,
    Rule,
    Usual,
    at_animatediffs_size,
    sized,
    tuned,
)


def _verb_of(case: Case) -> str | None:
    """The verb that all prompts share; None where they differ, or where none is needed."""
    if case.settings["enhancer"] == "none":
        return None
    verbs = {verb.text if verb else None for verb in map(find_verb, case.prompts)}
    return verbs.pop() if len(verbs) == 1 else None


def _of_each(steps: int) -> Rule:
    """So many of the first stage for each appearance: the videos, and the images together."""
    return lambda case: steps * (case.videos + min(case.images, 1))


def _after_appearance(steps: int) -> Rule:
    """So many of the second stage, after the first."""
    return lambda case: case.settings["appearance_steps"] + steps


DEFAULTS: Mapping[str, MethodDefaults] = {
    "": MethodDefaults(
        settings={
            "alpha": ALPHA,
            "verb": Usual(
                value=_verb_of, source="Sec. 3.3: found by spaCy; one that all prompts share"
            ),
            "appearance_steps": Usual(
                value=_of_each(300),
                source="MotionDirector's steps for appearance; not given in the paper",
            ),
        },
        train={
            "steps": Usual(
                value=_after_appearance(600),
                source="Sec. 4.1: about 600 steps, which are taken to be the second stage's",
            )
        },
    ),
    "zeroscope": MethodDefaults(clip=sized("Sec. 4.1", width=576, height=320, frames=24)),
    "animatediff": MethodDefaults(
        clip=at_animatediffs_size("Sec. 4.1", width=576, height=320, frames=24)
    ),
    "shape-world": MethodDefaults(
        settings={
            **tuned(
                "LoRAs are nearly as wide as a small base's layers: dropout only costs time.",
                dropout=0.0,
            ),
            **tuned("A small base learns looks in 60 steps.", appearance_steps=_of_each(60)),
            **tuned(
                "A verb's embedding of 64 channels takes in looks where its change is not "
                "held small.",
                residual_weight=0.1,
            ),
        },
        train=tuned("Tuned: 360 after the first stage.", steps=_after_appearance(360)),
    ),
    "shape-world-zeroscope": MethodDefaults(
        settings=tuned(
            "Its temporal layers tell frames apart by little, and learn no direction while a "
            "LoRA of looks stands before them that a sample goes without: fidelity 0.74 with "
            "120 steps of looks, 0.86 with 60, 0.95 with 30.",
            appearance_steps=_of_each(30),
        ),
        train=tuned("Tuned: 330 after the first stage.", steps=_after_appearance(330)),
    ),
}
