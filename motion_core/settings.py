"""Settings as frozen dataclasses: built from a mapping with unknown names refused, and back to a
mapping.

Every settings class of the core (trainer, methods, sampler) goes through `from_mapping` and
`to_mapping`, so that a TOML file, command-line flags, a node's inputs and an adapter file's
metadata all mean the same.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import SettingsError

T = TypeVar("T")


def from_mapping(cls: type[T], values: Mapping[str, object]) -> T:
    """Builds the settings dataclass `cls`; raises SettingsError on an unknown name or a value of
    the wrong type."""
    known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
            raise SettingsError(f"{cls.__name__} has no setting {name!r}. {hint}")
    hints = get_type_hints(cls)
    return cls(**{name: _checked(cls, name, hints[name], value) for name, value in values.items()})


def to_mapping(settings: Any) -> dict[str, object]:
    """The settings as plain values for JSON or TOML; tuples become lists."""
    return {
        field.name: list(value)
        if isinstance(value := getattr(settings, field.name), tuple)
        else value
        for field in dataclasses.fields(settings)
    }


def require(condition: bool, name: str, value: object, expected: str) -> None:
    """Raises SettingsError naming the setting, the value given and what is expected."""
    if not condition:
        raise SettingsError(f"{name} is {value!r}; expected {expected}.")


def _checked(cls: type, name: str, hint: Any, value: Any) -> Any:
    shown = f"{cls.__name__}.{name}"
    if get_origin(hint) is Literal:
        require(value in get_args(hint), shown, value, " or ".join(map(repr, get_args(hint))))
        return value
    if get_origin(hint) is tuple:
        require(isinstance(value, (list, tuple)), shown, value, "a list")
        return tuple(value)
    # Only plain types and unions of them are told apart, such as int, or float | None.
    types = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if not all(isinstance(kind, type) for kind in types):
        return value
    if float in types and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    right = isinstance(value, types) and (not isinstance(value, bool) or bool in types)
    names = " or ".join("none" if kind is type(None) else kind.__name__ for kind in types)
    require(right, shown, value, f"a value of type {names}")
    return value
