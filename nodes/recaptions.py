"""Recaptions: one for each look that a training tells apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..motion_core.errors import SettingsError

if TYPE_CHECKING:
    from ..motion_core.types import Clip


def looks_of(clips: Sequence[Clip]) -> list[Clip]:
    """The first clip of each look: the windows of a video share one, and so do all images. In the
    order in which MoTrans takes recaptions.
    """
    from ..motion_core.methods.appearance import appearance_names

    names = appearance_names(clips)
    firsts = {name: index for index, name in reversed(list(enumerate(names)))}
    return [clips[index] for index in sorted(firsts.values())]


def given_recaptions(text: str, looks: Sequence[Clip]) -> list[str]:
    """The lines of a text, without empty ones: one for all looks, or one each; else raises
    SettingsError.
    """
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    if len(lines) not in (1, len(looks)):
        raise SettingsError(
            f"There are {len(lines)} lines for {len(looks)} videos. Write one for all, or one "
            "for each in order."
        )
    return lines
