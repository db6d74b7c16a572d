"""Settings as a node's inputs, made from their declarations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from functools import partial
from typing import Any

import folder_paths
from comfy_api.latest import io

from ..motion_core.errors import MotionError, SettingsError
from ..motion_core.settings import Field, require
from .version_0_1_0 import STOOD_FOR_NONE
from .widget_values import none_of, setting_value, widget_ends, widget_value

ADVANCED = {"advanced": True}
"""What experts set: the page shows it when it is asked to. ComfyUI 0.8.0 has no argument for it."""


def widget(field: Field, *, default: Any = MISSING, **options: Any) -> io.Input:
    """A setting as an input. default: the widget's setting, if it is not the setting's own."""
    value = field.default if default is MISSING else default
    told = {"default": widget_value(field, value), "tooltip": field.help(none_of(field))}
    options = {**told, **options}
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
    low = min(low, STOOD_FOR_NONE.get(field.name, low))  # ComfyUI shall let it through
    options |= {"min": low, "max": high, "step": field.said.step}
    if field.kind is float:
        options |= {name: float(options[name]) for name in ("min", "max", "step")}
        return io.Float.Input(field.name, **options)
    return io.Int.Input(field.name, **options)


def refused(fields: Mapping[str, Field], values: Mapping[str, Any]) -> bool | str:
    """What is wrong with the first value that its field or its widget does not allow, else True;
    None is not given.
    """
    given = {name: value for name, value in values.items() if value is not None}
    return fault_of(*(partial(_check, fields[name], value) for name, value in given.items()))


def fault_of(*checks: Callable[[], object]) -> bool | str:
    """For `validate_inputs`: what the first check raises, in its words, else True."""
    try:
        for check in checks:
            check()
    except MotionError as error:
        return str(error)
    return True


def check_text(name: str, text: str | None, what: str) -> None:
    """Raises SettingsError for an empty text. text: None comes from another node, or is left out.
    what: to do about it.
    """
    if text is not None and not text.strip():
        raise SettingsError(f"{name} is empty. {what}")


def _check(field: Field, value: Any) -> None:
    value = setting_value(field, value)
    field.checked(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        _, high = widget_ends(field)
        require(value <= high, field.name, value, f"at most {high:g}")
