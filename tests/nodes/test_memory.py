"""The memory estimate."""

from __future__ import annotations

import pytest
from motion_adapters.nodes.memory import GIB, activation_bytes, check_total, warning_of

from motion_core.errors import MotionError


def test_the_estimate_is_the_peers_figure() -> None:
    """MotionDirector reports 14 GB at 384x384 and 16 frames, of which 2.7 GB are weights."""
    needed = activation_bytes(48 * 48 * 16, 320, 2, checkpointing=True)
    assert needed / GIB == pytest.approx(11.3, rel=0.05)


def test_the_estimate_grows_with_what_it_counts() -> None:
    one = activation_bytes(1000, 320, 2, checkpointing=True)
    assert activation_bytes(2000, 320, 2, checkpointing=True) == 2 * one
    assert activation_bytes(1000, 64, 2, checkpointing=True) == pytest.approx(one / 5, rel=1e-3)
    assert activation_bytes(1000, 320, 4, checkpointing=True) == 2 * one
    assert activation_bytes(1000, 320, 2, checkpointing=False) == 2 * one


def test_only_what_can_never_fit_is_refused() -> None:
    check_total(30 * GIB, 24 * GIB, "16 frames of 512x512")
    with pytest.raises(MotionError, match=r"16 frames of 512x512 takes about 40 GB .* has 24 GB"):
        check_total(40 * GIB, 24 * GIB, "16 frames of 512x512")


def test_what_may_not_fit_is_said() -> None:
    assert warning_of(8 * GIB, 8 * GIB, "a clip") is None
    said = warning_of(9 * GIB, 8 * GIB, "a clip")
    assert said is not None and "takes about 9 GB" in said and "8 GB are free" in said
