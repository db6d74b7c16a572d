"""What a widget holds for a setting: its default, its ends, and the way to the setting's value and
back.

A list is a text with commas, or with one item a line; a widget that cannot hold None has a value
that stands for it, see `Setting.widget_none`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..motion_core.settings import Field, require

Widget = bool | int | float | str


def widget_default(field: Field) -> Widget:
    return widget_value(field, field.default)


def widget_value(field: Field, value: Any) -> Widget:
    """What the widget holds for a value; the way back from `setting_value`."""
    if value is None or (not value and _has_word(field)):
        return field.said.widget_none  # type: ignore[return-value]
    if field.many:
        return ("\n" if field.said.lines else ", ").join(map(str, value))
    return value


def widget_ends(field: Field) -> tuple[float, float]:
    """The lowest and the highest value of a number."""
    said = field.said
    low = said.step if said.low is None and said.above == 0 else said.low or 0
    if isinstance(said.widget_none, (int, float)):
        low = min(low, said.widget_none)
    high = said.widget_high if said.widget_high is not None else said.high
    assert high is not None, field.name
    return low, high


def none_of(field: Field) -> str:
    """What stands for None, in words; nothing where there is no None, or the menu says it."""
    none = field.said.widget_none
    if none is None or field.said.folder or field.many:
        return ""
    return "empty" if isinstance(none, str) else f"{none:g}"


def setting_value(field: Field, widget: Widget) -> object:
    """What the settings class takes, from what the widget holds."""
    if field.said.widget_none is not None and widget == field.said.widget_none:
        return () if field.many else None
    if field.said.folder:
        from .host.model_choices import model_file  # ComfyUI's files, which values do without

        return str(model_file(field.said.folder, str(widget)))
    if field.many:
        items = str(widget).splitlines() if field.said.lines else str(widget).split(",")
        values = tuple((field.kind or str)(item.strip()) for item in items if item.strip())
        word = field.said.widget_none
        require(bool(values) or not _has_word(field), field.name, widget, f"values, or {word!r}")
        return values
    return widget.strip() if isinstance(widget, str) else widget


def _has_word(field: Field) -> bool:
    """Whether a list says with a word that it is empty."""
    return field.many and field.said.widget_none is not None


def given(fields: Iterable[Field], widgets: Mapping[str, Any]) -> dict[str, object]:
    """What stands on the widgets of these fields; those that are left out, or None as ComfyUI has
    them in a menu, say nothing.
    """
    found = {field: widgets.get(field.name) for field in fields}
    return {f.name: setting_value(f, value) for f, value in found.items() if value is not None}
