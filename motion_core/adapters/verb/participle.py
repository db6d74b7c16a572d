"""The form of a verb that says what is going on: "turns" and "turned" become "turning"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from .tokens import lemma_tables

_ING = "ing"
_VOWEL_E = re.compile(r"(?:[eoy]e)$")  # seeing, canoeing, dyeing


def present_participle(form: str) -> str:
    """Of any form of an English verb, in lower case. Of a form that belongs to several verbs the
    longest counts ("rides" is of "ride", and not of "rid"). Raises MotionError without spaCy's
    lemma tables.
    """
    form = form.lower()
    lemmas = lemma_tables().verb_lemmas(form)
    if form.endswith(_ING) and (not lemmas or lemmas - {form}):
        return form
    lemma = max(sorted(lemmas or {form}), key=len)
    return _irregular().get(lemma, _regular(lemma))


@lru_cache(maxsize=1)
def _irregular() -> Mapping[str, str]:
    """By base form, where the tables have it: what doubles its last letter, mostly."""
    exceptions = lemma_tables().exceptions["verb"]
    forms = sorted((form for form in exceptions if form.endswith(_ING)), reverse=True)
    return {lemma: form for form in forms for lemma in exceptions[form]}


def _regular(lemma: str) -> str:
    if lemma.endswith("ie"):
        return f"{lemma[:-2]}y{_ING}"
    if lemma.endswith("e") and len(lemma) > 2 and not _VOWEL_E.search(lemma):
        return f"{lemma[:-1]}{_ING}"
    return f"{lemma}{_ING}"
