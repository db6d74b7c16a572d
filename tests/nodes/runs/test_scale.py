"""The bar of a training counts on one scale, which only rises and ends at its end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from motion_adapters.nodes.runs.scale import Scale

SCALE = Scale(clips=2, steps=10, passes=3, sample_every=5, prompts=2, sampling=4, inversion=6)


def test_by_hand() -> None:
    """6 for two clips; 9 a step; 8 a prompt of a sample, 16 a sample, of which two are due; 6 for
    the inversion: 6 + 90 + 32 + 6 = 134.
    """
    assert (SCALE.prepared, SCALE.total) == (6, 134)
    assert [SCALE.trained(step) for step in (0, 5, 6, 10)] == [6, 51, 76, 112]
    assert [SCALE.sampled(5, 0, 0.5), SCALE.sampled(5, 1, 1.0)] == [55, 67]
    assert SCALE.sampled(10, 1, 1.0) == 128
    assert [SCALE.inverted(0.0), SCALE.inverted(0.5), SCALE.inverted(1.0)] == [128, 131, 134]


def everything(scale: Scale) -> list[int]:
    """All that a bar is told, in order."""
    shown = [scale.prepared]
    halves = (0.5, 1.0)
    for step in range(1, scale.steps + 1):
        shown.append(scale.trained(step))
        if scale.sample_every and step % scale.sample_every == 0:
            shown += [scale.sampled(step, p, h) for p in range(scale.prompts) for h in halves]
    if scale.inversion:
        shown += [scale.inverted(h) for h in halves]
    if not scale.sample_every or scale.steps % scale.sample_every:
        shown += [scale.sampled(scale.steps, p, h) for p in range(scale.prompts) for h in halves]
    return shown


@pytest.mark.parametrize("sample_every", [0, 3, 5, 20])
@pytest.mark.parametrize("inversion", [0, 6])
def test_it_rises_to_its_end(sample_every: int, inversion: int) -> None:
    scale = replace(SCALE, sample_every=sample_every, inversion=inversion)
    shown = everything(scale)
    assert shown == sorted(shown) and shown[0] > 0 and shown[-1] == scale.total


def test_a_sample_that_somebody_asked_for_moves_nothing() -> None:
    assert SCALE.sampled(7, 1, 0.5) == SCALE.trained(7) < SCALE.trained(8)


def test_a_run_that_is_stopped_jumps_forward() -> None:
    stopped = replace(SCALE, steps=6)
    assert SCALE.trained(6) / SCALE.total < stopped.inverted(0.0) / stopped.total
    assert stopped.sampled(6, 1, 1.0) == stopped.total
