"""Shape world's tokenizer: one token a known word, pieces for the rest."""

from motion_core.shape_world.vocabulary import (
    byte_pair_merges,
    caption_words,
    load_tokenizer,
    write_vocabulary,
)


def test_merges_by_hand():
    """ "aba" and "ab": the pairs are (a, b) once and (b, a</w>) once and (a, b</w>) once. Ties
    break alphabetically: (a, b) first, giving [ab, a</w>] and [a, b</w>]; then (a, b</w>), then
    (ab, a</w>)."""
    assert byte_pair_merges(["aba", "ab"]) == [("a", "b"), ("a", "b</w>"), ("ab", "a</w>")]


def test_known_words_are_single_tokens_and_reference_motions_are_not(tmp_path):
    write_vocabulary(tmp_path / "v.txt.gz")
    tokenizer = load_tokenizer(tmp_path / "v.txt.gz")
    assert all(len(tokenizer.encode(word)) == 1 for word in caption_words())
    assert len(tokenizer.encode("zigzagging")) > 3


def test_the_shipped_vocabulary_is_the_written_one(tmp_path):
    write_vocabulary(tmp_path / "v.txt.gz")
    assert load_tokenizer(tmp_path / "v.txt.gz").encoder == load_tokenizer().encoder
