"""What widgets hold for the settings that are declared: defaults, ends, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from motion_adapters.nodes.widget_values import (
    given,
    none_of,
    setting_value,
    widget_default,
    widget_ends,
    widget_value,
)

from motion_core.diffusion.settings import SampleSettings
from motion_core.errors import SettingsError
from motion_core.methods import METHODS
from motion_core.settings import Field, Settings, fields_by_name, fields_of, from_mapping
from motion_core.training.settings import TrainSettings
from motion_core.video.settings import ClipSettings

# Not on any node: the loaders of motions have strengths of their own.
WITHOUT_WIDGET = {"temporal_scale", "spatial_scale"}


def declared() -> Iterator[Any]:
    methods = [method.Settings for method in METHODS.values()]
    for cls in (*methods, TrainSettings, ClipSettings, SampleSettings):
        for field in fields_of(cls):
            if field.name not in WITHOUT_WIDGET:
                yield pytest.param(cls, field, id=f"{cls.__name__}.{field.name}")


@pytest.mark.parametrize(("cls", "field"), declared())
def test_an_untouched_widget_is_the_default(cls: type[Settings], field: Field) -> None:
    value = setting_value(field, widget_default(field))
    assert value == field.default
    assert type(value) is type(field.default)


@pytest.mark.parametrize(("cls", "field"), declared())
def test_the_ends_of_a_widget_are_allowed(cls: type[Settings], field: Field) -> None:
    """What can be dialled in is not refused later; a number's lowest may stand for None."""
    if field.kind in (int, float) and not field.many:
        low, high = widget_ends(field)
        default: Any = widget_default(field)
        assert default is None or low <= default <= high
        for end in (low, high):
            from_mapping(cls, {field.name: setting_value(field, field.kind(end))})


def test_lists_are_read() -> None:
    """Items of the right kind, without what is empty between them."""
    fields = fields_by_name(METHODS["motion_inversion"].Settings)
    assert setting_value(fields["channels"], "64, 96,") == (64, 96)
    assert setting_value(fields["positions"], "down , mid") == ("down", "mid")
    assert setting_value(fields["channels"], "widest") == ()
    assert widget_value(fields["channels"], ()) == "widest"
    with pytest.raises(SettingsError, match=r"channels is ' '; expected values, or 'widest'"):
        setting_value(fields["channels"], " ")
    recaptions = fields_by_name(METHODS["motrans"].Settings)["recaptions"]
    assert setting_value(recaptions, "a red car\n\n a blue car \n") == ("a red car", "a blue car")


def test_none_on_a_widget() -> None:
    fields = fields_by_name(ClipSettings)
    width, frames = fields["width"], fields["frames"]
    assert (widget_default(width), widget_ends(width), none_of(width)) == (0, (0, 2048), "0")
    assert setting_value(width, 0) is None and setting_value(width, 64) == 64
    assert width.help(none_of(width)).endswith("0 keeps the source's proportions.")
    assert none_of(frames) == ""


def test_what_stands_there_is_given() -> None:
    """Equal to a default or not; what is left out says nothing."""
    widgets = {"max_grad_norm": 0.0, "warmup_steps": 0, "seed": 5, "steps": None}
    read = {"max_grad_norm": None, "warmup_steps": 0, "seed": 5}
    assert given(fields_of(TrainSettings), widgets) == read


@pytest.mark.parametrize(("cls", "field"), declared())
def test_there_and_back(cls: type[Settings], field: Field) -> None:
    assert setting_value(field, widget_value(field, field.default)) == field.default


@pytest.mark.parametrize("method", METHODS)
def test_what_a_main_setting_depends_on_is_main_too(method: str) -> None:
    """Where the training node shows that a LoRA can be trained it shows its rank, and MoTrans's
    image encoder, without which it does not run on full-size bases.
    """
    main = {field.name for field in fields_of(METHODS[method].Settings) if field.said.main}
    assert "rank" in main or "parametrisation" not in main
    assert "image_encoder" in main or method != "motrans"
