"""Waiting is no work."""

from __future__ import annotations

import time

import pytest
import torch

from benchmarks.papers.clock import Clock


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What the clocks show."""
    shown = {"passed": 100.0, "worked": 7.0}
    monkeypatch.setattr(time, "monotonic", lambda: shown["passed"])
    monkeypatch.setattr(time, "process_time", lambda: shown["worked"])
    return shown


def test_a_cpus_clock_counts_what_the_process_worked(times: dict[str, float]) -> None:
    """3 seconds of 12: a quarter. Two cores at once may work more than passes."""
    clock = Clock(torch.device("cpu"))
    times.update(passed=112.0, worked=10.0)
    assert (clock.seconds(), clock.share()) == (3.0, 0.25)
    times.update(passed=112.0, worked=31.0)
    assert (clock.seconds(), clock.share()) == (24.0, 2.0)


def test_an_accelerators_clock_counts_what_passes(times: dict[str, float]) -> None:
    clock = Clock(torch.device("cuda"))
    times.update(passed=112.0, worked=10.0)
    assert (clock.seconds(), clock.share()) == (12.0, 1.0)
