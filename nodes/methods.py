"""Nodes: every switch of a method; and the methods as a menu for the training node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import folder_paths
from comfy_api.latest import io

from .method_fields import METHOD_FIELDS, TRAIN_FIELDS, Field
from .runs.settings import MethodSettings, changed

MethodSettingsSocket = io.Custom("MOTION_METHOD_SETTINGS")

# Shown beside the menu's names, in the methods' own words.
SUMMARIES: Mapping[str, str] = {
    "motion_director": "two LoRAs, one for the motion and one for the clip's looks, which is left "
    "out when the motion is played",
    "motion_crafter": "tunes the temporal layers themselves, with the base beside them to hold "
    "looks",
    "motion_inversion": "learns an embedding of the motion and leaves all weights as they are",
    "motrans": "looks first and then motion, with the verb strengthened",
    "vmc": "tunes temporal attention on how neighbouring frames differ",
    "coupled": "one LoRA for looks and motion together, the papers' baseline to compare with",
}


def method_input() -> io.DynamicCombo.Input:
    """The menu of methods; each shows its main settings."""
    lines = [f"{method.replace('_', '-')}: {text}." for method, text in SUMMARIES.items()]
    return io.DynamicCombo.Input(
        "objective",
        options=[
            io.DynamicCombo.Option(
                method.replace("_", "-"), [widget(field) for field in fields if field.main]
            )
            for method, fields in METHOD_FIELDS.items()
        ],
        tooltip="How the motion is learned. " + " ".join(lines) + " What is left at a method's own "
        "value is the base's where it has one.",
    )


def widget(field: Field) -> io.Input:
    """A setting as an input."""
    if field.kind == "bool":
        return io.Boolean.Input(field.name, default=bool(field.default), tooltip=field.tooltip)
    files = folder_paths.get_filename_list(field.folder) if field.folder else ()
    if options := [*field.choices, *([str(field.none), *files] if field.folder else ())]:
        return io.Combo.Input(
            field.name,
            options=options,
            default=str(field.default),
            tooltip=field.tooltip,
        )
    if field.kind == "int":
        return io.Int.Input(
            field.name,
            default=int(field.default),
            min=int(field.low),
            max=int(field.high),
            tooltip=field.tooltip,
        )
    if field.kind == "float":
        return io.Float.Input(
            field.name,
            default=float(field.default),
            min=field.low,
            max=field.high,
            step=field.step,
            tooltip=field.tooltip,
        )
    return io.String.Input(
        field.name,
        default=str(field.default),
        multiline=field.kind == "lines",
        tooltip=field.tooltip,
    )


class _SettingsNode(io.ComfyNode):
    """All of one method's switches; the subclasses name the method."""

    method: ClassVar[str]
    title: ClassVar[str]

    @classmethod
    def define_schema(cls) -> io.Schema:
        fields: Sequence[Field] = (*METHOD_FIELDS[cls.method], *TRAIN_FIELDS)
        return io.Schema(
            node_id=cls.__name__,
            display_name=f"{cls.title} Settings",
            category="motion/train",
            description=f"Every switch of {cls.title}, for the advanced input of Train Motion "
            f"Adapter: {SUMMARIES[cls.method]}.",
            inputs=[
                *(widget(field) for field in fields),
                io.Boolean.Input(
                    "exactly",
                    default=False,
                    tooltip="Off: what is left at its default here is the base's own where it has "
                    "one (the sample base's differ). On: everything is as it stands here.",
                ),
            ],
            outputs=[
                MethodSettingsSocket.Output(
                    "settings",
                    display_name="settings",
                    tooltip=f"For Train Motion Adapter with {cls.method.replace('_', '-')}.",
                )
            ],
        )

    @classmethod
    def execute(cls, exactly: bool, **widgets: Any) -> io.NodeOutput:
        return io.NodeOutput(
            MethodSettings(
                method=cls.method,
                values=changed(METHOD_FIELDS[cls.method], widgets, exactly),
                train=changed(TRAIN_FIELDS, widgets, exactly),
            )
        )


class MotionDirectorSettings(_SettingsNode):
    method, title = "motion_director", "MotionDirector"


class MotionCrafterSettings(_SettingsNode):
    method, title = "motion_crafter", "MotionCrafter"


class MotionInversionSettings(_SettingsNode):
    method, title = "motion_inversion", "Motion Inversion"


class MoTransSettings(_SettingsNode):
    method, title = "motrans", "MoTrans"
