"""The tables of widgets say the same as the settings classes."""

from __future__ import annotations

import dataclasses
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from motion_adapters.nodes.method_fields import METHOD_FIELDS, TRAIN_FIELDS, Field

from motion_core.methods import METHODS
from motion_core.settings import from_mapping
from motion_core.training.settings import TrainSettings

# What the training node asks for by widgets of its own.
NODES_OWN = {
    "steps",
    "learning_rate",
    "seed",
    "precision",
    "checkpointing",
    "save_every",
    "sample_every",
}


def settings_class(method: str) -> type:
    return type(METHODS[method]().settings)


def test_every_method_has_a_table() -> None:
    assert METHOD_FIELDS.keys() == METHODS.keys()


@pytest.mark.parametrize("method", METHOD_FIELDS)
def test_every_setting_is_a_widget(method: str) -> None:
    names = [field.name for field in dataclasses.fields(settings_class(method))]
    assert [field.name for field in METHOD_FIELDS[method]] == names


def test_every_training_setting_is_a_widget() -> None:
    names = {field.name for field in dataclasses.fields(TrainSettings)}
    assert {field.name for field in TRAIN_FIELDS} == names - NODES_OWN


def fields() -> list[Any]:
    return [
        pytest.param(cls, field, id=f"{cls.__name__}.{field.name}")
        for cls, table in (
            *((settings_class(method), table) for method, table in METHOD_FIELDS.items()),
            (TrainSettings, TRAIN_FIELDS),
        )
        for field in table
    ]


@pytest.mark.parametrize(("cls", "field"), fields())
def test_a_widget_is_its_setting(cls: type, field: Field) -> None:
    """An untouched widget gives the class's default; kind and choices are those of its type."""
    default = getattr(cls(), field.name)
    assert field.value(field.default) == default
    assert type(field.value(field.default)) is type(default)
    hint = get_type_hints(cls)[field.name]
    members = [member for member in get_args(hint) if member is not NoneType]
    optional = NoneType in get_args(hint)
    assert (field.none is not None) == optional
    if get_origin(hint) is Literal:
        assert field.choices == get_args(hint)
        return
    plain = members[0] if optional else hint
    kinds = {bool: "bool", int: "int", float: "float", str: "text"}
    assert not field.choices
    assert field.kind in ("lines", "words", "numbers") or field.kind == kinds[plain]


@pytest.mark.parametrize(("cls", "field"), fields())
def test_the_limits_of_a_widget_are_allowed(cls: type, field: Field) -> None:
    """What can be dialled in is not refused later; a number's lowest may stand for None."""
    assert field.tooltip.endswith(".")
    if field.kind in ("int", "float"):
        for value in (field.low, field.high):
            number = int(value) if field.kind == "int" else float(value)
            assert field.low <= field.default <= field.high
            from_mapping(cls, {field.name: field.value(number)})


def test_lists_are_read() -> None:
    by_name = {field.name: field for field in METHOD_FIELDS["motion_inversion"]}
    assert by_name["channels"].value("64, 96,") == (64, 96)
    assert by_name["positions"].value("down , mid") == ("down", "mid")
    recaptions = {field.name: field for field in METHOD_FIELDS["motrans"]}["recaptions"]
    assert recaptions.value("a red car\n\n a blue car \n") == ("a red car", "a blue car")


@pytest.mark.parametrize("method", METHOD_FIELDS)
def test_what_a_main_setting_depends_on_is_main_too(method: str) -> None:
    """Where the training node shows that a LoRA can be trained it shows its rank, and MoTrans's
    image encoder, without which it does not run on full-size bases.
    """
    main = {field.name for field in METHOD_FIELDS[method] if field.main}
    assert "rank" in main or "parametrisation" not in main
    assert "image_encoder" in main or method != "motrans"
