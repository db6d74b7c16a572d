"""Every value that suits can be read off its widget, which shows as many digits as its step has."""

from __future__ import annotations

from decimal import Decimal

import pytest
from motion_adapters.nodes.widget_values import widget_ends

from motion_core.bases import BASES
from motion_core.diffusion.settings import SampleSettings
from motion_core.methods import METHODS
from motion_core.methods.defaults import Material
from motion_core.settings import Field, fields_by_name
from motion_core.training.settings import TrainSettings
from motion_core.training.suited import suited
from motion_core.video.settings import ClipSettings

MATERIALS = (
    Material(videos=1, images=0),
    Material(videos=4, images=0),
    Material(videos=0, images=1),
)


def is_read_off(field: Field, value: object) -> bool:
    """By hand: 0.01 with a step of 0.5 is shown as 0.0, with one of 0.01 as 0.01."""
    if field.kind is not float or field.many or value is None:
        return True
    low, high = widget_ends(field)
    digits = -Decimal(str(field.said.step)).as_tuple().exponent  # type: ignore[operator]
    assert isinstance(value, float)
    return low <= value <= high and round(value, max(digits, 0)) == value


def test_digits_by_hand() -> None:
    beta = fields_by_name(METHODS["motion_director"].Settings)["beta"]  # in steps of 0.1
    assert is_read_off(beta, 0.3) and not is_read_off(beta, 0.01)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("method", METHODS)
def test_what_suits_can_be_read(method: str, base: str) -> None:
    kinds = {
        "settings": METHODS[method].Settings,
        "train": TrainSettings,
        "clip": ClipSettings,
        "sample": SampleSettings,
    }
    for material in MATERIALS:
        usual = suited(METHODS[method], BASES[base], material)
        for part, cls in kinds.items():
            fields = fields_by_name(cls)
            values = getattr(usual, part)
            unread = {n: v for n, v in values.items() if not is_read_off(fields[n], v)}
            assert unread == {}, part
