"""The changes do what their names say, and the page has the figures that were measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.real_clip import CHANGES, METRIC, RESULT, SETTINGS, measure
from motion_core.evaluation.videos import load_video
from motion_core.shape_world.references import DEMO_CLIP

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"


def test_a_clip_beside_its_copies() -> None:
    """Colours count for nothing; nothing moves in a still. The one object of the clip goes to the
    right, and no point of its mirror image does, nor of the clip backwards."""
    scores = measure(load_video(DEMO_CLIP, SETTINGS))
    assert list(scores) == list(CHANGES)
    assert scores["itself"] == pytest.approx(1.0, abs=1e-6)
    assert scores["red and blue exchanged"] > 0.95
    assert scores["its first frame, still"] == 0.0
    assert max(scores["mirrored"], scores["backwards"]) < scores["blurred"]


def test_the_page_has_what_was_measured() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, value in json.loads(RESULT.read_text(encoding="utf-8"))[METRIC].items():
        assert f"| {name} | {value:.3f} |" in page
