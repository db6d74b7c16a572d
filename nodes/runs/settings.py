"""From the training node's choices to the core's settings: what wins over what.

In: the base's defaults, what the widgets hold. Out: `TrainSettings` and the configured method. A
widget that is left at its default says nothing, so that the base's own value counts, where it has
one; the method's advanced settings win over the base's, and must not contradict the widgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...motion_core.bases import BaseDefaults
from ...motion_core.errors import SettingsError
from ...motion_core.methods import METHODS
from ...motion_core.methods.defaults import ONE_VIDEO, Material
from ...motion_core.settings import fields_of, from_mapping
from ...motion_core.training.settings import TrainSettings
from ...motion_core.training.suited import suited
from ..widget_values import changed

if TYPE_CHECKING:
    from ...motion_core.methods.base import Method


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """Advanced settings; socket MOTION_METHOD_SETTINGS. values, train: the method's own and the
    training's, by field, only what was said.
    """

    method: str
    values: Mapping[str, object] = field(default_factory=dict)
    train: Mapping[str, object] = field(default_factory=dict)


def build_method(
    defaults: BaseDefaults,
    method_name: str,
    widgets: Mapping[str, Any],
    advanced: MethodSettings | None,
    material: Material = ONE_VIDEO,
) -> Method:
    """The method with its settings. widgets: its main settings on the training node.

    Raises SettingsError for advanced settings of another method, or that contradict the widgets.
    """
    _check_method(method_name, advanced)
    cls = METHODS[method_name].Settings
    said = changed(fields_of(cls), widgets)
    more = advanced.values if advanced is not None else {}
    _check_agreement(said, more)
    method = METHODS[method_name]
    return method(from_mapping(cls, suited(method, defaults, material, {**more, **said}).settings))


def build_training(
    defaults: BaseDefaults,
    method_name: str,
    said: Mapping[str, object],
    advanced: MethodSettings | None,
    material: Material = ONE_VIDEO,
    chosen: Mapping[str, object] | None = None,
) -> TrainSettings:
    """The training's settings. said: what the training node's own widgets ask for. chosen: the
    method's settings, on which defaults depend.
    """
    usual = suited(METHODS[method_name], defaults, material, chosen).train
    more = advanced.train if advanced is not None else {}
    return from_mapping(TrainSettings, {**usual, **more, **said})


def _check_method(method_name: str, advanced: MethodSettings | None) -> None:
    if advanced is not None and advanced.method != method_name:
        given, wanted = advanced.method.replace("_", "-"), method_name.replace("_", "-")
        raise SettingsError(
            f"The advanced settings are for {given}, but the method is {wanted}. Connect "
            f"{wanted}'s settings, or choose the other method."
        )


def _check_agreement(said: Mapping[str, object], more: Mapping[str, object]) -> None:
    for name, value in said.items():
        if name in more and more[name] != value:
            raise SettingsError(
                f"{name} is {value!r} on Train Motion Adapter and {more[name]!r} in the advanced "
                "settings. Set it in one place only: reset the other to its default."
            )
