"""One recaption for each look: a video's windows share one, and so do images."""

from __future__ import annotations

import pytest
import torch
from motion_adapters.nodes.recaptions import given_recaptions, looks_of

from motion_core.errors import SettingsError
from motion_core.types import Clip


def clip(source: str, frames: int = 2, video: str = "") -> Clip:
    return Clip(
        frames=torch.zeros(frames, 3, 8, 8), fps=8.0, prompt=source, source=source, video=video
    )


CLIPS = [clip("a1", video="a"), clip("b"), clip("a2", video="a"), clip("i", 1), clip("j", 1)]


def test_the_first_clip_of_each_look() -> None:
    assert [look.source for look in looks_of(CLIPS)] == ["a1", "b", "i"]


def test_lines_are_for_all_or_for_each() -> None:
    looks = looks_of(CLIPS)
    assert given_recaptions(" a  red car \n\n", looks) == ["a red car"]
    assert given_recaptions("1\n2\n3", looks) == ["1", "2", "3"]
    with pytest.raises(SettingsError, match="2 lines for 3 videos"):
        given_recaptions("1\n2", looks)
    with pytest.raises(SettingsError, match="0 lines for 3 videos"):
        given_recaptions(" \n", looks)
