"""The verb of a prompt, and the tokens that it is spelled with.

In: a prompt and the tokenizer that encodes it. Out: where its verb stands, as characters and as
positions in the prompt's embedding. MoTrans (ACM MM 2024), Sec. 3.3, finds verbs by spaCy's part of
speech and dependencies. Where no English pipeline of spaCy is installed, its lemma tables
(spacy-lookups-data) tell which words can be forms of a verb, and what stands before a word whether
it is one; that guess is logged.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ...backbones.text import TextEncoder
from ...errors import MotionError

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Token

logger = logging.getLogger(__name__)

_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_DETERMINERS = frozenset("a an the this that these those his her its their my your our".split())
_PREPOSITIONS = frozenset("in on at of by with for from into onto over under through".split())
_BE = frozenset("is are was were be being been 's 're".split())
_BEFORE_INFINITIVE = frozenset("to can will could would may must".split())
_NO_VERBS = frozenset("during something nothing anything everything including according".split())


class Verb(NamedTuple):
    """A verb of a sentence: its form there, and that form's characters, sentence[start:end]."""

    text: str
    start: int
    end: int


class VerbTokens(NamedTuple):
    """A verb of a prompt and the positions of its tokens in the prompt's embedding (1, L, D)."""

    text: str
    positions: list[int]


def verb_tokens(encoder: TextEncoder, prompt: str, given: str | None = None) -> VerbTokens | None:
    """The prompt's verb and where its tokens are, the start token being position 0.

    given: the word or words to take, in any of a verb's forms, instead of the main verb. None where
    the prompt has no such verb, or has it beyond what the encoder reads.
    """
    # As the tokenizer cleans it, so that characters and tokens can be set side by side.
    sentence = encoder.tokenizer.clean_fn(prompt)
    verb = find_word(sentence, given) if given else find_verb(sentence)
    if verb is None:
        return None
    positions: list[int] = []
    first = 1
    for piece in encoder.tokenizer.pat.finditer(sentence):
        after = first + len(encoder.tokenizer.encode(piece.group()))
        if piece.start() < verb.end and piece.end() > verb.start:
            positions += range(first, after)
        first = after
    read = [position for position in positions if position < encoder.context_length - 1]
    return VerbTokens(verb.text, read) if read else None


def find_word(sentence: str, wanted: str) -> Verb | None:
    """These words in the sentence, whole and in any case; else a word of the same verb ("zigzag"
    for "zigzagging").
    """
    exact = re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", sentence, re.IGNORECASE)
    if exact is not None:
        return Verb(exact.group(), *exact.span())
    tables = lemma_tables()
    lemmas = tables.verb_lemmas(wanted.lower()) | {wanted.lower()}
    for word in _words(sentence):
        if lemmas & (tables.verb_lemmas(word.text) | {word.text}):
            return word
    return None


def find_verb(sentence: str, pipeline: Language | None = None) -> Verb | None:
    """The sentence's main verb, None if there is none.

    pipeline: of spaCy, with tagger and parser; else the English one that is installed, else a guess
    from spaCy's lemma tables, which is logged. Raises MotionError if these are not installed
    either.
    """
    if not sentence.strip():
        return None
    nlp = pipeline or installed_pipeline()
    if nlp is not None:
        return main_verb(nlp(sentence))
    verb = _guessed(sentence, lemma_tables())
    logger.info(
        "No English spaCy pipeline is installed; according to the lemma tables, the verb of %r "
        "is %r.",
        sentence,
        verb.text if verb else None,
    )
    return verb


def main_verb(doc: Doc) -> Verb | None:
    """The verb nearest to the root of the sentence; one that stands before a noun as an adjective
    ("a checkered background") only where there is no other.
    """
    verbs = [token for token in doc if token.pos_ == "VERB"]
    if not verbs:
        return None
    verb = min(verbs, key=lambda token: (token.dep_ == "amod", _depth(token), token.i))
    return Verb(verb.text, verb.idx, verb.idx + len(verb.text))


@lru_cache(maxsize=1)
def installed_pipeline() -> Language | None:
    """The installed English pipeline of spaCy, of several the first by name; None without one.

    Kept, as loading one takes about a second and samples come by the dozen.
    """
    import spacy
    from spacy.util import get_installed_models

    names = sorted(name for name in get_installed_models() if name.startswith("en_"))
    return spacy.load(names[0], exclude=["ner"]) if names else None


class LemmaTables(NamedTuple):
    """spaCy's English tables. index: base forms by part of speech. exceptions, rules: from a form
    to these, by part of speech.
    """

    index: Mapping[str, frozenset[str]]
    exceptions: Mapping[str, Mapping[str, Sequence[str]]]
    rules: Mapping[str, Sequence[Sequence[str]]]

    def verb_lemmas(self, form: str) -> set[str]:
        """The verbs that this is a form of."""
        return self._lemmas(form, "verb")

    def is_noun(self, form: str) -> bool:
        """Whether this is a noun's form, and no adjective."""
        return bool(self._lemmas(form, "noun")) and form not in self.index["adj"]

    def is_plural(self, form: str) -> bool:
        """Whether this is a noun's plural."""
        return form == "people" or bool(self._lemmas(form, "noun") - {form})

    def _lemmas(self, form: str, kind: str) -> set[str]:
        """As spaCy's rule lemmatiser: exceptions, else the ends that the rules replace."""
        bases = self.index[kind]
        found = {form} & bases | set(self.exceptions[kind].get(form, ()))
        ruled = {form[: -len(end)] + new for end, new in self.rules[kind] if form.endswith(end)}
        return found | (ruled & bases)


@lru_cache(maxsize=1)
def lemma_tables() -> LemmaTables:
    """Kept, like the pipeline: 70,000 words."""
    from spacy.lookups import load_lookups

    names = ("lemma_index", "lemma_exc", "lemma_rules")
    try:
        lookups = load_lookups("en", [*names])
    except ValueError as error:
        raise MotionError(
            "Finding the verb of a prompt requires an English spaCy pipeline or spaCy's lemma "
            "tables, and neither is installed. Install spacy-lookups-data, or give the verb."
        ) from error
    index, exceptions, rules = (
        {kind: lookups.get_table(name)[kind] for kind in ("noun", "verb", "adj")} for name in names
    )
    return LemmaTables({kind: frozenset(words) for kind, words in index.items()}, exceptions, rules)


def _guessed(sentence: str, tables: LemmaTables) -> Verb | None:
    """The word that is most surely a verb, of equals the first.

    Surest is "is …ing", then another "…ing" that no determiner or preposition makes a noun; then an
    inflected form after a noun ("a car turns", but not "two cars"); then a base form after a plural
    or "to".
    """
    words = list(_words(sentence))
    before = ["", *(word.text for word in words)]
    ranked: list[tuple[int, int]] = []
    for number, (word, previous) in enumerate(zip(words, before, strict=False)):
        rank = _rank(word.text, previous, tables)
        if rank is not None:
            ranked.append((rank, number))
    return words[min(ranked)[1]] if ranked else None


def _rank(form: str, previous: str, tables: LemmaTables) -> int | None:
    """0 is surest; None is no verb."""
    lemmas = tables.verb_lemmas(form)
    if not lemmas or form in _NO_VERBS | _BE or previous in _DETERMINERS | _PREPOSITIONS:
        return None
    if form.endswith("ing") and lemmas - {form}:
        return 0 if previous in _BE else 1
    if lemmas - {form}:
        return 2 if previous and tables.is_noun(previous) else None
    if previous in _BEFORE_INFINITIVE or (previous and tables.is_plural(previous)):
        return 3
    return None


def _words(sentence: str) -> Iterable[Verb]:
    """Every word, in lower case."""
    return (Verb(match.group().lower(), *match.span()) for match in _WORD.finditer(sentence))


def _depth(token: Token) -> int:
    return sum(1 for _ in token.ancestors)
