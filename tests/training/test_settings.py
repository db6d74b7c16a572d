"""Learning rates by hand, and settings out of range."""

from __future__ import annotations

import math

import pytest
import torch

from motion_core.errors import SettingsError
from motion_core.settings import from_mapping, to_mapping
from motion_core.training.settings import TrainSettings, learning_rate_factor


def factors(settings: TrainSettings) -> list[float]:
    return [learning_rate_factor(settings, step) for step in range(settings.steps)]


def test_constant() -> None:
    assert factors(TrainSettings(steps=3)) == [1.0, 1.0, 1.0]


def test_warm_up_rises_to_the_full_rate() -> None:
    """(step + 1) / 4 for steps 0 … 3, then 1."""
    settings = TrainSettings(steps=6, warmup_steps=4)
    assert factors(settings) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_cosine() -> None:
    """½(1 + cos(π·p)), p = 0, ¼, ½, ¾: 1, ½ + √2/4, ½, ½ − √2/4."""
    settings = TrainSettings(steps=4, lr_schedule="cosine")
    expected = [1.0, 0.5 + math.sqrt(2) / 4, 0.5, 0.5 - math.sqrt(2) / 4]
    assert factors(settings) == pytest.approx(expected)


def test_cosine_after_warm_up() -> None:
    """Two steps of warm-up (½, 1), then the four cosine values over the four steps left."""
    settings = TrainSettings(steps=6, warmup_steps=2, lr_schedule="cosine")
    cosine = [1.0, 0.5 + math.sqrt(2) / 4, 0.5, 0.5 - math.sqrt(2) / 4]
    assert factors(settings) == pytest.approx([0.5, 1.0, *cosine])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("learning_rate", -1e-4),
        ("learning_rate", math.nan),
        ("weight_decay", -1.0),
        ("warmup_steps", -1),
        ("lr_schedule", "linear"),
        ("max_grad_norm", 0.0),
        ("accumulation", 0),
        ("noise_draws", 0),
        ("seed", -1),
        ("seed", 2**63),
        ("precision", "fp8"),
        ("save_every", -1),
        ("sample_every", -1),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=name):
        from_mapping(TrainSettings, {name: value})


def test_round_trip() -> None:
    settings = TrainSettings(learning_rate=1e-3, precision="bf16")
    assert from_mapping(TrainSettings, to_mapping(settings)) == settings


def test_half_precision_trains_on_cuda_only() -> None:
    with pytest.raises(SettingsError, match=r"fp16.*cpu.*bf16"):
        TrainSettings(precision="fp16").dtype_on(torch.device("cpu"))
    assert TrainSettings(precision="fp16").dtype_on(torch.device("cuda")) is torch.float16
