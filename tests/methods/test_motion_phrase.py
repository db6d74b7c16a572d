"""The motion in a prompt's words, without its subject and its place."""

from __future__ import annotations

import pytest

from motion_core.adapters.verb.participle import present_participle
from motion_core.errors import SettingsError
from motion_core.methods.motion_phrase import motion_lines, motion_phrase


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a car turns left in a park", "turning left"),
        ("A car is running on the road.", "running"),
        ("a red circle zigzagging on a checkered background", "zigzagging"),
        ("a man is riding a bicycle past the Eiffel Tower", "riding a bicycle"),
        ("two dogs run across a field", "running across a field"),
        ("a woman is doing yoga on the beach while smiling", "doing yoga"),
        ("a boat sails from left to right, seen from above", "sailing from left to right"),
        (
            "a blue square looping in a figure eight on white",
            "looping in a figure eight",
        ),
        ("a cross spinning outwards in a spiral on grey", "spinning outwards in a spiral"),
        ("a circle growing and shrinking on a black background", "growing and shrinking"),
        ("a circle drifting up in a gentle wave on black", "drifting up in a gentle wave"),
        ("a red circle filmed by a panning camera on black", "filmed by a panning camera"),
        ("a  horse\ngallops and a man watches", "galloping"),
    ],
)
def test_the_motion_alone(prompt: str, expected: str) -> None:
    assert motion_phrase(prompt) == expected


@pytest.mark.parametrize("prompt", ["a beautiful sunset", "an astronaut on mars", ""])
def test_a_prompt_without_a_verb_is_refused(prompt: str) -> None:
    with pytest.raises(SettingsError, match=r"no recognisable verb.*Set motion to what happens"):
        motion_phrase(prompt)


def test_several_prompts() -> None:
    alike = ["a car turns left", "a bus turns left in a town", "a car turns left"]
    assert motion_lines(alike) == "turning left"
    assert motion_lines([*alike, "a bus stops"]) == "turning left\nturning left\nstopping"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("turns", "turning"),
        ("rides", "riding"),
        ("ran", "running"),
        ("zigzags", "zigzagging"),
        ("bounced", "bouncing"),
        ("lies", "lying"),
        ("sees", "seeing"),
        ("swings", "swinging"),
        ("sing", "singing"),
        ("hopping", "hopping"),
        ("Skateboarding", "skateboarding"),
    ],
)
def test_what_is_going_on(form: str, expected: str) -> None:
    assert present_participle(form) == expected
