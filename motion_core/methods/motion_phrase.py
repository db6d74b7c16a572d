"""What a prompt says of the motion alone: "a car turns left on a road" says "turning left".

In: a prompt. Out: its verb, as MoTrans finds it, in the form that follows "is", with what belongs
to the movement: an object, a direction, a manner. Where something is, and what else there is to be
seen, is left out. Only words are looked at, so that the phrase is to be shown to whoever wrote the
prompt, and may be changed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from ..adapters.verb.participle import present_participle
from ..adapters.verb.tokens import find_verb
from ..errors import SettingsError

logger = logging.getLogger(__name__)

# Words that a description of a place, of a companion or of something else begins with.
_ELSEWHERE = frozenset(
    "in on at near beside behind under underneath above below inside outside among between against "
    "before past with by upon amid within during while as when where that which who but".split()
)
_MANNER = re.compile(
    r"in (?:(?:an?|the) )?(?:\w+ )?(?:circles?|spirals?|loops?|arcs?|waves?|zigzags?|lines?|"
    r"figure (?:of )?eights?|place|reverse|slow motion)\b"
)
_CLAUSE = re.compile(r"[.,;:!?()]")


def motion_phrase(prompt: str) -> str:
    """Raises SettingsError where the prompt has no verb, MotionError without spaCy's data."""
    sentence = " ".join(prompt.lower().split())
    verb = find_verb(sentence)
    if verb is None:
        raise SettingsError(
            f"The prompt {prompt!r} has no recognisable verb, so the motion in it is not known. "
            "Set motion to what happens in the clip, such as 'turning left', or add it to the "
            "prompt."
        )
    rest = _CLAUSE.split(sentence[verb.end :])[0].split()
    if rest[:1] == ["by"]:  # passive: "filmed by a panning camera"
        return " ".join([verb.text, "by", *_of_the_motion(rest[1:])])
    return " ".join([present_participle(verb.text), *_of_the_motion(rest)])


def motion_lines(prompts: Sequence[str]) -> str:
    """The motion of all prompts, one a line; a single line where it is the same in each. Raises as
    `motion_phrase` does.
    """
    phrases = [motion_phrase(prompt) for prompt in dict.fromkeys(prompts)]
    return "\n".join(phrases if len(set(phrases)) > 1 else phrases[:1])


def motions_of(prompts: Sequence[str], given: str | None) -> dict[str, str]:
    """What fills the templates of each prompt. given: one line for all prompts, or one for each;
    without any, the prompts themselves, as version 0.1.0 did, with a warning. Raises SettingsError
    for another number of lines.
    """
    prompts = list(dict.fromkeys(prompts))
    lines = [line.strip() for line in (given or "").splitlines() if line.strip()]
    if not lines:
        logger.warning(
            "The appearance templates take the clips' whole prompts, subjects and all, as motion "
            "is not set: the motion alone, such as 'turning left', fits better."
        )
        return dict(zip(prompts, prompts, strict=True))
    if len(lines) not in (1, len(prompts)):
        raise SettingsError(
            f"motion has {len(lines)} lines for {len(prompts)} prompts. Give one for all, or one "
            "each in order."
        )
    each = lines if len(lines) > 1 else lines * len(prompts)
    motions = dict(zip(prompts, each, strict=True))
    for prompt, motion in motions.items():
        logger.info("In the appearance templates, the motion of %r is %r.", prompt, motion)
    return motions


def _of_the_motion(words: Sequence[str]) -> list[str]:
    """The words up to those that lead elsewhere."""
    kept: list[str] = []
    while len(kept) < len(words):
        left = words[len(kept) :]
        manner = _MANNER.match(" ".join(left))
        if manner is not None:
            kept += manner.group().split()
        elif left[0] in _ELSEWHERE or (left[0] == "and" and not _goes_on(left[1:])):
            break
        else:
            kept.append(left[0])
    return kept


def _goes_on(words: Sequence[str]) -> bool:
    """Whether "and" joins another movement: "growing and shrinking"."""
    return bool(words) and words[0].endswith("ing")
