"""Settings: each is declared once, in its dataclass, with all that anybody asks of it.

    @dataclass(frozen=True, kw_only=True)
    class LoraSettings(Settings):
        rank: int = setting(32, low=1, source="official configs", help="Width of the LoRA.")

From the declarations come the checks of values, the command line's flags, the nodes' widgets, the
tables of the help pages, the panel's labels and what a run records. A TOML file, flags, a node's
inputs and an adapter file's metadata all go through `from_mapping` and mean the same. Nothing heavy
is imported here.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import SettingsError

T = TypeVar("T")

BASES_OWN = "the base's own"
"""First in a menu of files: none of them."""

_KINDS: Mapping[type, str] = {bool: "true or false", int: "a whole number", float: "a number"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """What a declaration says of a field, beside its type and default.

    help: whole sentences. source: where the default is from; official: what is said there, if the
    default is another, and reason: why it is. label: a few words, for the panel; by
    default the field's name. low, high: the least and the greatest value allowed; above, below:
    limits that are not allowed themselves. multiple_of: of a whole number. Of a list they hold for
    each item.
    none: what None does, as "takes the rank itself". main: one of the few that most people set.

    Of a widget: step; widget_high where it ends, if high does not say so; widget_none, the value
    that stands for None, or for an empty list. folder: its menu is the files of this folder of
    ComfyUI's, below widget_none. lines: a text of several lines, a list with one item a line.
    later: version 0.1.0 had none, so that it stands behind those that it had: workflows keep
    values by their places.
    Of the command line: flag, if it is not the field's name. metavar: what stands for the value.
    repeated: a list is given by repeating the flag, and not by several values behind one.
    """

    help: str = ""
    source: str = ""
    official: str = ""
    reason: str = ""
    label: str = ""
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    multiple_of: int | None = None
    none: str = ""
    main: bool = False
    later: bool = False
    step: float = 1
    widget_high: float | None = None
    widget_none: int | float | str | None = None
    folder: str = ""
    lines: bool = False
    flag: str = ""
    metavar: str = ""
    repeated: bool = False


def setting(default: Any = dataclasses.MISSING, **declared: Any) -> Any:
    """A field of a settings dataclass; without a default it has to be given. declared: see
    `Setting`."""
    return dataclasses.field(default=default, metadata={"setting": Setting(**declared)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a settings dataclass, its type taken apart.

    kind: of a value, or of a list's items; None of a type that is neither plain nor a choice.
    choices: the only values, if they are few. optional: it may be None. many: it is a list.
    default: MISSING if it has to be given. said: its declaration.
    """

    name: str
    kind: type | None
    choices: tuple[Any, ...]
    optional: bool
    many: bool
    default: Any
    said: Setting

    @property
    def label(self) -> str:
        return self.said.label or self.name.replace("_", " ")

    def help(self, none: str) -> str:
        """The help, with what None does. none: what stands for None, as "0"; "" leaves it out."""
        if not (self.optional and self.said.none and none):
            return self.said.help
        return f"{self.said.help} {none[:1].upper()}{none[1:]} {self.said.none}.".strip()

    def checked(self, value: Any) -> Any:
        """The value in its right type: a whole number as a float, a list as a tuple. Raises
        SettingsError on another type, or a value that is not allowed."""
        if value is None and self.optional:
            return None
        if not self.many:
            return self._item(value)
        items: Any = value
        require(isinstance(items, (list, tuple)), self.name, items, "a list")
        return tuple(self._item(item) for item in items)

    def _item(self, value: Any) -> Any:
        if self.choices:
            self._require(value in self.choices, value, " or ".join(map(repr, self.choices)))
        if self.choices or self.kind is None:
            return value
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        right = isinstance(value, self.kind) and (self.kind is bool or not isinstance(value, bool))
        self._require(right, value, _KINDS.get(self.kind, "a text"))
        if isinstance(value, (int, float)):
            self._require(self._allows(value), value, self._range())
        return value

    def _require(self, condition: bool, value: object, expected: str) -> None:
        require(condition, self.name, value, f"{expected}, or none" if self.optional else expected)

    def _allows(self, value: float) -> bool:
        said = self.said
        return (
            math.isfinite(value)
            and (said.low is None or said.low <= value)
            and (said.high is None or value <= said.high)
            and (said.above is None or said.above < value)
            and (said.below is None or value < said.below)
            and (said.multiple_of is None or value % said.multiple_of == 0)
        )

    def _range(self) -> str:
        said = self.said
        limits = (
            ("a multiple of", said.multiple_of),
            ("more than", said.above),
            ("at least", said.low),
            ("less than", said.below),
            ("at most", said.high),
        )
        words = [f"{words} {limit}" for words, limit in limits if limit is not None]
        return ", ".join(words) or "a finite number"


class Settings:
    """A settings dataclass, frozen and keyword-only: values are checked as they are declared.

    Rules between fields are a subclass's own, in its `__post_init__` after this one. Raises
    SettingsError.
    """

    def __post_init__(self) -> None:
        for field in fields_of(type(self)):
            # The dataclass is frozen; this is still a part of its making.
            object.__setattr__(self, field.name, field.checked(getattr(self, field.name)))


@cache
def fields_of(cls: type) -> tuple[Field, ...]:
    """The fields of a dataclass in their order."""
    hints = get_type_hints(cls)
    return tuple(
        Field(
            name=field.name,
            default=field.default,
            said=field.metadata.get("setting", Setting()),
            **_parts_of(hints[field.name]),
        )
        for field in dataclasses.fields(cls)
    )


def fields_by_name(cls: type) -> dict[str, Field]:
    """The fields of a dataclass by their names."""
    return {field.name: field for field in fields_of(cls)}


def from_mapping(cls: type[T], values: Mapping[str, object]) -> T:
    """Builds the dataclass `cls`; raises SettingsError on an unknown name or a value of the wrong
    type."""
    fields = fields_by_name(cls)
    refuse_unknown(cls.__name__, values, fields)
    return cls(**{name: fields[name].checked(value) for name, value in values.items()})


def refuse_unknown(owner: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raises SettingsError on a name that is not known, with the one that was meant."""
    known = list(known)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
            raise SettingsError(f"{owner} has no setting {name!r}. {hint}")


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


def _parts_of(hint: Any) -> dict[str, Any]:
    """A type as `Field` has it: `int`, `Literal[…]`, one of them or None, or a tuple of them."""
    optional = False
    if get_origin(hint) in (Union, UnionType):
        members = [member for member in get_args(hint) if member is not NoneType]
        optional = len(members) < len(get_args(hint))
        hint = members[0] if len(members) == 1 else None
    many = get_origin(hint) is tuple and get_args(hint)[1:] == (...,)
    item = get_args(hint)[0] if many else hint
    choices = get_args(item) if get_origin(item) is Literal else ()
    kinds = {type(choice) for choice in choices} or {item}
    kind = next(iter(kinds)) if len(kinds) == 1 else None
    kind = kind if kind in (bool, int, float, str) else None
    return {"kind": kind, "choices": choices, "optional": optional, "many": many}
