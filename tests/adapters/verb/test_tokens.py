"""Verbs: which word of a prompt is the verb, and which tokens spell it."""

from __future__ import annotations

import logging

import pytest
from spacy.lang.en import English
from spacy.tokens import Doc

from motion_core.adapters.verb.tokens import (
    find_verb,
    find_word,
    installed_pipeline,
    main_verb,
    verb_tokens,
)
from motion_core.shape_world.clip_model import load_clip, text_encoder
from motion_core.shape_world.motions import REFERENCE_MOTIONS
from motion_core.shape_world.vocabulary import load_tokenizer

from ...tiny import CONTEXT_LENGTH, tiny_text

without_pipeline = pytest.mark.skipif(
    installed_pipeline() is not None, reason="an English pipeline of spaCy is installed"
)


def parsed(words: str, pos: str, deps: str, heads: list[int]) -> Doc:
    """A sentence as spaCy's tagger and parser would mark it."""
    return Doc(
        English().vocab, words=words.split(), pos=pos.split(), deps=deps.split(), heads=heads
    )


def test_the_verb_next_to_the_root_counts() -> None:
    """ "circle" is the root. "zigzagging" hangs on it, "checkered" on "background" below that."""
    doc = parsed(
        "a circle zigzagging on a checkered background",
        "DET NOUN VERB ADP DET VERB NOUN",
        "det ROOT acl prep det amod pobj",
        [1, 1, 1, 2, 6, 6, 3],
    )
    assert main_verb(doc) == ("zigzagging", 9, 19)


def test_an_auxiliary_is_no_verb_and_the_root_comes_first() -> None:
    doc = parsed(
        "a cat that purrs is skateboarding",
        "DET NOUN PRON VERB AUX VERB",
        "det nsubj nsubj relcl aux ROOT",
        [1, 5, 3, 1, 5, 5],
    )
    assert main_verb(doc) == ("skateboarding", 20, 33)


def test_a_verb_as_an_adjective_is_the_last_choice() -> None:
    words, pos, deps = "a dancing panda", "DET VERB NOUN", "det amod ROOT"
    assert main_verb(parsed(words, pos, deps, [2, 2, 2])) == ("dancing", 2, 9)
    assert main_verb(parsed("a panda", "DET NOUN", "det ROOT", [1, 1])) is None


def test_a_given_pipeline_is_used() -> None:
    """spaCy's own blank English tags nothing, so it finds no verb where the tables would."""
    assert find_verb("a cat is running", English()) is None


@without_pipeline
@pytest.mark.parametrize(
    ("sentence", "verb"),
    [
        ("a red circle moving right on a checkered background", "moving"),
        ("a cat is skateboarding in the living room", "skateboarding"),
        ("a man walking in front of a building in the morning", "walking"),
        ("a bear is playing the guitar during sunset", "playing"),
        ("a car turns left", "turns"),
        ("a dog ran through the park", "ran"),
        ("people dance on the beach", "dance"),
        ("two red cars on a road", None),
        ("a golf swing", None),
        ("a photo of a cat", None),
        ("", None),
    ],
)
def test_without_a_pipeline_the_lemma_tables_guess(sentence: str, verb: str | None) -> None:
    found = find_verb(sentence)
    assert (found.text if found else None) == verb
    if found:
        assert sentence[found.start : found.end] == verb


@without_pipeline
def test_the_guess_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "motion_core.adapters.verb.tokens"):
        find_verb("a car turns left")
    assert "lemma tables" in caplog.text and "'turns'" in caplog.text


@without_pipeline
def test_every_reference_motion_of_shape_world_has_a_verb() -> None:
    found = {
        name: find_verb(f"a red circle {phrase} on a dotted background")
        for name, (phrase, _) in REFERENCE_MOTIONS.items()
    }
    assert {name: verb and verb.text for name, verb in found.items()} == {
        "zigzag": "zigzagging",
        "bounce": "bouncing",
        "figure-eight": "looping",
        "spiral": "spinning",
        "grow-and-shrink": "growing",
        "camera-pan": "filmed",
        "camera-zoom": "filmed",
    }


def test_a_given_verb_is_found_in_any_form_but_only_as_a_word() -> None:
    assert find_word("a cat zigzags home", "zigzagging") == ("zigzags", 6, 13)
    assert find_word("A Golf Swing here", "golf swing") == ("Golf Swing", 2, 12)
    assert find_word("a cart rolls", "art") is None


def test_tokens_of_a_word_that_falls_into_letters() -> None:
    """Every base word is one token, so the verb begins at 1 + 3 and ends before the last four."""
    tokenizer = load_tokenizer()
    encoder = text_encoder(load_clip(tokenizer), tokenizer)
    prompt = "a red circle zigzagging on a white background"
    ids = tokenizer.encode(prompt)
    found = verb_tokens(encoder, prompt, "zigzagging")
    assert found is not None
    assert found.positions == list(range(4, 1 + len(ids) - 4)) and len(found.positions) > 1
    row = encoder.tokenize([prompt])[0].tolist()
    assert tokenizer.decode([row[position] for position in found.positions]) == "zigzagging "


@pytest.mark.parametrize(
    "prompt",
    [
        "2 cats &amp; a dog's pal  SKATEBOARDING, fast",
        "über-cool: cats skateboarding!",
    ],
)
def test_tokens_behind_signs_digits_and_entities(prompt: str) -> None:
    """What the tokenizer cleans away moves characters, and must not move the tokens."""
    encoder = tiny_text()
    found = verb_tokens(encoder, prompt, "skateboarding")
    assert found is not None
    row = encoder.tokenize([prompt])[0].tolist()
    spelled = encoder.tokenizer.decode([row[position] for position in found.positions])
    assert spelled == "skateboarding "


def test_a_verb_beyond_the_context_is_none() -> None:
    """The context holds 14 words between start and end."""
    encoder = tiny_text()
    words = CONTEXT_LENGTH - 2
    assert verb_tokens(encoder, "a " * (words - 1) + "running", "running") is not None
    assert verb_tokens(encoder, "a " * words + "running", "running") is None
