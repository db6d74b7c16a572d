"""What a motion adds to its verb (MoTrans), in the prompts that a ComfyUI CLIP encodes.

In: a CLIP and the core's verb adapters. Out: a clone of the CLIP. The verb is sought in the text
that the tokens stand for, so that weights, wildcards and long prompts in several pieces are read as
they are encoded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ...motion_core.adapters.verb.tokens import find_verb, find_word

if TYPE_CHECKING:
    from comfy.sd import CLIP

logger = logging.getLogger(__name__)

# Tokens as ComfyUI hands them on: by the tower's name, in pieces of the context's length, each
# token (an id, or an embedding by its vector) with its weight.
Tokens = Mapping[str, Sequence[Sequence[tuple[Any, ...]]]]

_ENCODE = "encode_token_weights"
_END_OF_WORD = "</w>"
_END_OF_TEXT = "<|endoftext|>"
_START_OF_TEXT = "<|startoftext|>"


# Adapters of kind "verb", each with its strength.
Verbs = Sequence[tuple[Any, float]]


def with_verbs(clip: CLIP, verbs: Verbs) -> CLIP:
    """A clone of `clip` that adds strength · E_r to the verb of every prompt.

    The verb is the one of training in any of its forms, else the prompt's own; a prompt without a
    verb stays as it is, which is logged. Encoding raises AdapterError where the prompts are of
    another width than the adapter's.
    """
    changed = clip.clone()
    encode = changed.patcher.get_model_object(_ENCODE)
    changed.patcher.add_object_patch(_ENCODE, _Encoding(encode, clip.tokenizer.untokenize, verbs))
    return changed


class _Word(NamedTuple):
    """A token's place in the sentence, sentence[start:end], and in the prompt's embedding."""

    start: int
    end: int
    position: int


class _Encoding:
    """In the place of the text model's own encoding."""

    def __init__(
        self,
        encode: Callable[[Tokens], tuple[Any, ...]],
        untokenize: Callable[[Any], Any],
        verbs: Verbs,
    ) -> None:
        self._encode = encode
        self._untokenize = untokenize
        self._verbs = verbs

    def __call__(self, tokens: Tokens) -> tuple[Any, ...]:
        embeds, *others = self._encode(tokens)
        sentence, words = self._read(next(iter(tokens.values())))
        plain = embeds[0].float()
        changes = [s * _change(verb, sentence, words, plain) for verb, s in self._verbs]
        return (embeds + torch.stack(changes).sum(0).to(embeds), *others)

    def _read(self, pieces: Sequence[Sequence[tuple[Any, ...]]]) -> tuple[str, list[_Word]]:
        """The text that the tokens stand for, and where each of them is."""
        sentence, words, position = "", [], 0
        for piece in pieces:
            texts = [self._text(token) for token in piece]
            for index, text in enumerate(texts[: _length(texts)]):
                start = len(sentence)
                sentence += text.removesuffix(_END_OF_WORD)
                words.append(_Word(start, len(sentence), position + index))
                sentence += " " if text.endswith(_END_OF_WORD) else ""
            position += len(piece)
        return sentence.strip(), words

    def _text(self, token: tuple[Any, ...]) -> str:
        if not isinstance(token[0], int):  # a textual inversion, which is no word
            return _END_OF_WORD
        text = self._untokenize([token])[0][1]
        return "" if text == _START_OF_TEXT else text


def _length(texts: Sequence[str]) -> int:
    """How many tokens of a piece are its text: padding follows the first end token."""
    return texts.index(_END_OF_TEXT) if _END_OF_TEXT in texts else len(texts)


def _change(adapter: Any, sentence: str, words: Sequence[_Word], embeds: Tensor) -> Tensor:
    """E_r at the verb's tokens, (L, D); embeds: (L, D)."""
    adapter.check_width(embeds.shape[-1])
    verb = find_word(sentence, adapter.verb) or find_verb(sentence)
    if verb is None:
        if sentence:  # an empty one stands for no prompt at all
            logger.warning("%r has no verb to enhance; the motion may be weaker.", sentence)
        return torch.zeros_like(embeds)
    positions = [w.position for w in words if w.start < verb.end and w.end > verb.start]
    return adapter.change_at(embeds, positions)
