"""Settings from plain values: names and types are checked, unions and lists included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from motion_core.errors import SettingsError
from motion_core.settings import from_mapping, to_mapping


@dataclass(frozen=True, kw_only=True)
class Example:
    count: int = 1
    rate: float = 1.0
    limit: float | None = None
    name: str | None = None
    kind: Literal["a", "b"] = "a"
    parts: tuple[str, ...] = ()
    on: bool = False


def test_values_of_the_right_types_come_back() -> None:
    values = {
        "count": 2,
        "rate": 0.5,
        "limit": None,
        "name": "x",
        "kind": "b",
        "parts": ["c", "d"],
        "on": True,
    }
    settings = from_mapping(Example, values)
    assert settings.parts == ("c", "d")
    assert to_mapping(settings) == values


def test_whole_numbers_are_numbers() -> None:
    settings = from_mapping(Example, {"rate": 2, "limit": 3})
    assert (settings.rate, type(settings.rate)) == (2.0, float)
    assert (settings.limit, type(settings.limit)) == (3.0, float)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", "2"),
        ("count", 2.0),
        ("count", True),
        ("rate", "fast"),
        ("rate", True),
        ("limit", "low"),
        ("limit", True),
        ("name", 3),
        ("kind", "c"),
        ("parts", "c"),
        ("parts", 3),
        ("on", 1),
    ],
)
def test_values_of_other_types_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"{name} is {value!r}; expected"):
        from_mapping(Example, {name: value})


def test_unknown_names_are_refused_with_a_hint() -> None:
    with pytest.raises(SettingsError, match=r"has no setting 'cuont'\. Did you mean 'count'"):
        from_mapping(Example, {"cuont": 1})
