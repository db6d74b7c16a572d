"""Nodes: every switch of a method; and the methods as a menu for the training node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from comfy_api.latest import io

from ..motion_core.methods import METHODS
from ..motion_core.methods.base import Method
from ..motion_core.settings import Field, fields_of
from ..motion_core.training.settings import TrainSettings
from .runs.settings import MethodSettings
from .widget_values import changed
from .widgets import widget

MethodSettingsSocket = io.Custom("MOTION_METHOD_SETTINGS")
# What the training node itself asks for is main.
TRAIN_FIELDS = tuple(field for field in fields_of(TrainSettings) if not field.said.main)


def method_input() -> io.DynamicCombo.Input:
    """The menu of methods; each shows its main settings."""
    lines = [f"{menu_name(method)}: {method.summary}." for method in METHODS.values()]
    return io.DynamicCombo.Input(
        "objective",
        options=[
            io.DynamicCombo.Option(
                menu_name(method),
                [widget(field) for field in fields_of(method.Settings) if field.said.main],
            )
            for method in METHODS.values()
        ],
        tooltip="How the motion is trained. " + " ".join(lines) + " Settings left at their "
        "default use the base's tuned value, if there is one.",
    )


def menu_name(method: type[Method]) -> str:
    return method.name.replace("_", "-")


class _SettingsNode(io.ComfyNode):
    """All of one method's switches."""

    method: ClassVar[type[Method]]

    @classmethod
    def define_schema(cls) -> io.Schema:
        fields: Sequence[Field] = (*fields_of(cls.method.Settings), *TRAIN_FIELDS)
        later = [field for field in fields if field.said.later]
        return io.Schema(
            node_id=cls.__name__,
            display_name=f"{cls.method.title} Settings",
            category="motion/train",
            description=f"All settings of {cls.method.title}, for the advanced input of Train "
            f"Motion Adapter: {cls.method.summary}.",
            inputs=[
                *(widget(field) for field in fields if field not in later),
                io.Boolean.Input(
                    "exactly",
                    default=False,
                    tooltip="Off: settings left at their default use the base's tuned value, if "
                    "there is one (the sample base has some). On: use exactly the values shown.",
                ),
                *(widget(field) for field in later),
            ],
            outputs=[
                MethodSettingsSocket.Output(
                    "settings",
                    display_name="settings",
                    tooltip=f"For Train Motion Adapter with {menu_name(cls.method)}.",
                )
            ],
        )

    @classmethod
    def execute(cls, exactly: bool, **widgets: Any) -> io.NodeOutput:
        return io.NodeOutput(
            MethodSettings(
                method=cls.method.name,
                values=changed(fields_of(cls.method.Settings), widgets, exactly),
                train=changed(TRAIN_FIELDS, widgets, exactly),
            )
        )


def _settings_node(method: type[Method]) -> type[_SettingsNode]:
    """Its id is the name of the method's settings class, and so never changes."""
    name = method.Settings.__name__
    return type(name, (_SettingsNode,), {"method": method, "__module__": __name__})


MADE = tuple(_settings_node(method) for method in METHODS.values())
