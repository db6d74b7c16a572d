"""Settings as a node's inputs, made from their declarations."""

from __future__ import annotations

from typing import Any

import folder_paths
from comfy_api.latest import io

from ..motion_core.settings import Field
from .widget_values import Widget, none_of, widget_default, widget_ends


def widget(
    field: Field, *, default: Widget | None = None, unset: str = "", **options: Any
) -> io.Input:
    """A setting as an input.

    default: the widget's, if it is not the setting's. unset: what 0 does, as "is the base's usual
    number", where 0 is the widget's default and leaves the setting to somebody else. options: of
    the input.
    """
    tooltip = f"{field.help('')} 0 {unset}." if unset else field.help(none_of(field))
    if unset:
        default = 0.0 if field.kind is float else 0
    options |= {
        "default": widget_default(field) if default is None else default,
        "tooltip": tooltip,
    }
    if field.kind is bool:
        return io.Boolean.Input(field.name, **options)
    if field.said.folder:
        files = folder_paths.get_filename_list(field.said.folder)
        return io.Combo.Input(field.name, options=[str(field.said.widget_none), *files], **options)
    if field.choices and not field.many:
        return io.Combo.Input(field.name, options=list(field.choices), **options)
    if field.kind is str or field.many:
        return io.String.Input(field.name, multiline=field.said.lines, **options)
    low, high = widget_ends(field)
    options |= {"min": 0 if unset else low, "max": high, "step": field.said.step}
    if field.kind is float:
        options |= {name: float(options[name]) for name in ("min", "max", "step")}
        return io.Float.Input(field.name, **options)
    return io.Int.Input(field.name, **options)
