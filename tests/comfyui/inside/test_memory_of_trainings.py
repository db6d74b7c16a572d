"""Trainings give all their memory back: after ten of them, after a Cancel and after a failure.

Counted twice: what live tensors take, to the byte, and what the process takes.
"""

from __future__ import annotations

import gc
from typing import Any

import comfy.model_management as management
import psutil
import pytest
import torch
from motion_adapters.nodes.sockets import MotionBase

from motion_core.types import Clip
from tests.comfyui.inside import trainings
from tests.comfyui.inside.trainings import in_step, trained

# Fixtures.
base = trainings.base
clips = trainings.clips
hook = trainings.hook
_folders = trainings._folders

RUNS = 10
SMALL = 2**20
"""Bytes; the UNet of the base has eleven times as many."""


def live_bytes() -> int:
    """Of all storages that a tensor in Python holds, each once."""
    gc.collect()
    storages: dict[int, int] = {}
    for thing in gc.get_objects():
        if issubclass(type(thing), torch.Tensor) and thing.device.type != "meta":
            storage = thing.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def resident_bytes() -> int:
    return psutil.Process().memory_info().rss


def test_tensors_are_counted() -> None:
    before = live_bytes()
    kept = torch.zeros(SMALL)
    views = [kept[1:], kept.view(2, -1), torch.nn.Parameter(kept)]
    assert live_bytes() - before == 4 * SMALL
    del kept, views
    assert live_bytes() == before


@pytest.mark.timeout(900)
def test_ten_trainings(base: MotionBase, clips: tuple[Clip, ...]) -> None:
    """Each with samples and saved states; the first three warm the caches up."""
    live, resident = [], []
    for seed in range(RUNS):
        trained(base, clips, name="memory", seed=seed, sample_every=2, save_every=2)
        live.append(live_bytes())
        resident.append(resident_bytes())
    assert max(live) - live[0] < SMALL, live
    assert max(resident[3:]) < 1.05 * resident[2], resident


@pytest.mark.parametrize("error", [management.InterruptProcessingException, RuntimeError])
def test_trainings_that_do_not_end(
    base: MotionBase, clips: tuple[Clip, ...], hook: Any, error: type[BaseException]
) -> None:
    """By Cancel, and by a failure, in the second of four steps; and one that goes on after it."""

    def stop(value: int, total: int) -> None:
        if in_step(2):
            raise error("stopped")

    name = error.__name__.lower()
    trained(base, clips, name=name, seed=100)
    before = live_bytes()
    for seed in range(101, 104):
        hook(stop)
        assert ends_with(error, base, clips, name=name, seed=seed)
        hook(lambda value, total: None)
        assert live_bytes() - before < SMALL
    trained(base, clips, name=name, seed=103)
    assert live_bytes() - before < SMALL


def ends_with(error: type[BaseException], *args: Any, **given: Any) -> bool:
    """Without keeping the exception, whose traceback holds all that the training held."""
    try:
        trained(*args, **given)
    except error:
        return True
    return False
