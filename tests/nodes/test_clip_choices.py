"""What stands on a clip node is how clips are cut; what does not suits what is connected."""

from __future__ import annotations

from typing import Any

import pytest
from motion_adapters.nodes.clip_choices import cut_of
from motion_adapters.nodes.suited.answer import Answer

from motion_core.video.settings import ClipSettings

SMALL = Answer(
    values={"frames": 16, "fps": 8.0, "width": 64, "height": 64},
    to={"base": "shape-world-animatediff"},
)
STANDS: dict[str, Any] = {
    "frames": 12,
    "start_seconds": 0.5,
    "stride": 1,
    "fps": 4.0,
    "width": 96,
    "height": 0,
    "fit": "pad",
    "windows": 2,
}


@pytest.mark.parametrize("suited", [None, SMALL])
def test_what_stands_there_is_taken(suited: Answer | None) -> None:
    cut = cut_of(STANDS, 40, suited)
    assert cut.settings == ClipSettings(**{**STANDS, "height": None})
    assert cut.notes == ()


def test_what_is_left_out_suits_the_training() -> None:
    cut = cut_of({"frames": 12, "height": 48}, 40, SMALL)
    assert cut.settings == ClipSettings(frames=12, fps=8.0, width=64, height=48)
    assert cut.notes == ("Left out: fps, width. They suit the base shape-world-animatediff.",)


def test_without_a_training_it_suits_a_base_of_full_size() -> None:
    """512x512, 16 frames at 8 a second."""
    cut = cut_of({"frames": 12}, 40, None)
    assert cut.settings == ClipSettings(frames=12, fps=8.0, width=512, height=512)
    (note,) = cut.notes
    assert note.startswith("Left out: fps, width, height. No training on a known base")
    assert note.endswith("they suit the base animatediff.")


@pytest.mark.parametrize("suited", [None, SMALL])
def test_a_stride_goes_with_the_videos_own_rate(suited: Answer | None) -> None:
    size = {"frames": 16, "width": 64, "height": 64}
    values = {} if suited is None else {**suited.values, "fps": 0.0}  # as `of_clip` says it
    answer = None if suited is None else Answer(values=values, to=suited.to)
    cut = cut_of({**size, "stride": 3}, 40, answer)
    assert (cut.settings.stride, cut.settings.fps) == (3, None)


def test_a_stride_beside_a_rate_is_said_to_be_unused(caplog: pytest.LogCaptureFixture) -> None:
    """Workflows of version 0.1.0 may have both; the rate ran."""
    cut = cut_of({**STANDS, "stride": 2}, 40, SMALL)
    assert (cut.settings.stride, cut.settings.fps) == (1, 4.0)
    expected = "stride 2 is not used, as fps is 4. For a stride, set fps to 0."
    assert cut.notes == (expected,) == tuple(caplog.messages)


def test_an_image_is_an_image_whatever_is_asked_of_videos() -> None:
    cut = cut_of({**STANDS, "stride": 2}, 1, SMALL)
    assert cut.settings == ClipSettings(frames=1, width=96, fit="pad")
    assert cut.notes == ()
