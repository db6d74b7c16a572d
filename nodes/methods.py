"""Nodes: every switch of a method; and the methods as a menu for the training node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from comfy_api.latest import io

from ..motion_core.bases import BASES
from ..motion_core.methods import METHODS
from ..motion_core.methods.base import Method
from ..motion_core.methods.defaults import ONE_VIDEO
from ..motion_core.settings import Field, fields_of
from ..motion_core.training.settings import TrainSettings
from ..motion_core.training.suited import Suited, suited
from .finding import found_by
from .runs.settings import MethodSettings
from .version_0_1_0 import MARK, given_then, without_left_alone
from .widget_values import given
from .widgets import refused, widget

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
                [
                    widget(field, default=usual(method).settings[field.name], optional=True)
                    for field in fields_of(method.Settings)
                    if field.said.main
                ],
            )
            for method in METHODS.values()
        ],
        tooltip="How the motion is trained. " + " ".join(lines),
    )


def method_of(objective: Mapping[str, Any]) -> str:
    """The registry name of what the menu holds."""
    return str(objective["objective"]).replace("-", "_")


def usual(method: type[Method]) -> Suited:
    """What stands on a new node: what suits a base of full size and one video."""
    base = next(base for base in BASES.values() if base.required)
    return suited(method, base, ONE_VIDEO)


USUAL = usual(next(iter(METHODS.values())))


def mark() -> io.Boolean.Input:
    """Says that the values on the node are those that run; see `version_0_1_0.MARK`."""
    return io.Boolean.Input(
        MARK,
        default=True,
        optional=True,
        socketless=True,
        extra_dict={"hidden": True},
        tooltip="On: the values on the node are used. Off: those left at their default are not, "
        "as in version 0.1.0.",
    )


def menu_name(method: type[Method]) -> str:
    return method.name.replace("_", "-")


class _SettingsNode(io.ComfyNode):
    """All of one method's switches."""

    method: ClassVar[type[Method]]

    @classmethod
    def define_schema(cls) -> io.Schema:
        values = usual(cls.method)
        own, own_later = _by_time(fields_of(cls.method.Settings))
        train, train_later = _by_time(TRAIN_FIELDS)
        return io.Schema(
            node_id=cls.__name__,
            display_name=f"{cls.method.title} Settings",
            category="motion/train",
            **found_by(f"{cls.method.title} options", "training settings"),
            description=f"All settings of {cls.method.title}, for the advanced input of Train "
            f"Motion Adapter: {cls.method.summary}.",
            inputs=[
                *_widgets(own, values.settings),
                *_widgets(train, values.train),
                mark(),
                *_widgets(own_later, values.settings),
                *_widgets(train_later, values.train),
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
    def validate_inputs(cls, weight_decay: float | None = None) -> bool | str:
        """In ComfyUI's place, which would refuse the -1 of version 0.1.0."""
        told = without_left_alone({"weight_decay": weight_decay})
        return refused({field.name: field for field in TRAIN_FIELDS}, told)

    @classmethod
    def execute(cls, exactly: bool = True, **widgets: Any) -> io.NodeOutput:
        name, own = cls.method.name, fields_of(cls.method.Settings)
        if exactly:
            values = given(own, widgets)
            train = given(TRAIN_FIELDS, without_left_alone(widgets))
        else:
            values = given_then("settings", name, own, widgets)
            train = given_then("train", name, TRAIN_FIELDS, widgets)
        return io.NodeOutput(MethodSettings(method=name, values=values, train=train))


def _by_time(fields: Sequence[Field]) -> tuple[list[Field], list[Field]]:
    """Those that version 0.1.0 had, and those that came later."""
    return [f for f in fields if not f.said.later], [f for f in fields if f.said.later]


def _widgets(fields: Sequence[Field], values: Mapping[str, Any]) -> list[io.Input]:
    return [widget(field, default=values[field.name], optional=True) for field in fields]


def _settings_node(method: type[Method]) -> type[_SettingsNode]:
    """Its id is the name of the method's settings class, and so never changes."""
    name = method.Settings.__name__
    return type(name, (_SettingsNode,), {"method": method, "__module__": __name__})


MADE = tuple(_settings_node(method) for method in METHODS.values())
