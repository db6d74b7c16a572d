"""Who is asked for, in which words, and with which noise."""

from __future__ import annotations

import dataclasses

import torch

from benchmarks.papers.asking import FIRST_NOISE, NOISES, asked_of
from benchmarks.papers.kept import same_settings
from benchmarks.papers.rows import Row, Variant
from benchmarks.papers.subjects import subjects_for
from benchmarks.papers.trainings import prepare, prepare_looks
from benchmarks.papers.variants import TERSE
from motion_core.bases import load_base
from motion_core.shape_world.references import WORN

DIRECTOR = Variant(name="some", method="motion_director", prompt=TERSE, asked=TERSE)


def row(**changes: object) -> Row:
    variant = dataclasses.replace(DIRECTOR, **changes)  # type: ignore[arg-type]
    return Row(variant=variant, backbone="zeroscope", motion="zigzag")


def test_each_subject_has_a_noise_of_its_own() -> None:
    """As many as the plan says, or the row."""
    asked = asked_of(row(asked="{caption}"), 3)
    assert [one.subject for one in asked] == list(subjects_for("zigzag", 3))
    assert [one.seed for one in asked] == [FIRST_NOISE, FIRST_NOISE + 1, FIRST_NOISE + 2]
    assert all(one.words == one.caption and one.motion is None for one in asked)
    assert len(asked_of(row(prompts=2), 3)) == 2


def test_words_may_leave_looks_out() -> None:
    """A clip is still recorded under the whole caption of whom it is to show."""
    (asked,) = asked_of(row(), 1)
    (one,) = subjects_for("zigzag", 1)
    assert asked.words == f"a {one.shape} zigzagging"
    assert asked.caption == one.prompt("zigzagging")


def test_wearers_of_the_other_motions_are_asked_for_with_several_noises() -> None:
    """6 others, each several times in a row; no noise comes twice."""
    asked = asked_of(row(who="wearers"), 72)
    assert len(asked) == 6 * NOISES == len({one.seed for one in asked})
    assert {one.motion for one in asked} == set(WORN) - {"zigzag"}
    assert all(WORN[str(one.motion)] == one.subject for one in asked)


def test_looks_are_trained_on_an_image_or_on_the_others_clip() -> None:
    """An image is the first frame of the motion, worn by who is asked for; its prompt tells the
    shape alone. The other clip is that of a row on its motion, so that they share a training."""
    base = load_base("shape-world-zeroscope")
    image = row(looks="image")
    training = prepare_looks(image, base, asked_of(image, 1)[0], {})
    (clip,) = training.clips
    assert clip.is_image and clip.prompt == f"a {subjects_for('zigzag', 1)[0].shape}"

    mixed = row(looks="clip", who="wearers")
    first = asked_of(mixed, 1)[0]
    training = prepare_looks(mixed, base, first, {})
    same = prepare(dataclasses.replace(row(), motion=str(first.motion)), base, {})
    assert training.folder == same.folder
    assert torch.equal(training.clips[0].latents, same.clips[0].latents)


def test_a_setting_that_is_new_changes_no_record() -> None:
    """Other values do, and so does one that is gone."""
    kept = {"objective": {"rank": 4, "taps": [1, 2]}, "strength": 0.5}
    assert same_settings(kept, {"objective": {"rank": 4, "taps": (1, 2)}, "strength": 0.5})
    assert same_settings(
        kept, {"objective": {"rank": 4, "taps": (1, 2), "new": 1}, "strength": 0.5}
    )
    assert not same_settings(kept, {"objective": {"rank": 5, "taps": (1, 2)}, "strength": 0.5})
    assert not same_settings(kept, {"objective": {"rank": 4}, "strength": 0.5})
    assert not same_settings(kept, {"objective": {"rank": 4, "taps": (1, 2)}, "strength": 1.0})
    assert not same_settings(kept, {"objective": {"rank": 4, "taps": (1, 2)}})
