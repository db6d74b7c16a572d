"""Nodes: motions in other forms, blended with each other or converted."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths
from comfy_api.latest import io, ui

from .adapters import CATEGORY, file_output, last_of, motions_output
from .host.bridge import core_run
from .host.file_choices import new_file
from .host.folders import MOTION_LORAS, adapter_folders, save_folder
from .sockets import MotionAdapterSocket, MotionStack

if TYPE_CHECKING:
    from torch import Tensor

    from ..motion_core.adapter_files.loaded import LoadedAdapter

BOTH = "both motions"
LOOKS = "motion of the first, looks of the second"
LORA = "LoRA"
# The core's names of the formats, by what people call them.
FORMATS = {
    "AnimateDiff motion LoRA": "animatediff",
    "diffusers LoRA": "diffusers",
    "peft LoRA": "peft",
}


class BlendMotions(io.ComfyNode):
    """Two stacks of motions as one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="BlendMotions",
            display_name="Blend Motions",
            category=CATEGORY,
            description="Plays two motions together, each at its weight; or the motion of one with "
            "the looks that the other has learned (of MotionDirector and MoTrans, which keep them "
            "apart).",
            inputs=[
                MotionAdapterSocket.Input("first", tooltip="A motion, or several."),
                MotionAdapterSocket.Input("second", tooltip="Another motion, or its looks."),
                io.Combo.Input(
                    "blend",
                    options=[BOTH, LOOKS],
                    default=BOTH,
                    tooltip="Whether both play as they are, or the first gives only how things "
                    "move and the second only how they look.",
                ),
                _weight("first_weight", "first"),
                _weight("second_weight", "second"),
            ],
            outputs=[motions_output("Both, to be played together.")],
        )

    @classmethod
    def execute(
        cls,
        first: MotionStack,
        second: MotionStack,
        blend: str,
        first_weight: float,
        second_weight: float,
    ) -> io.NodeOutput:
        with core_run():
            from .blending import added, motion_and_appearance, weighted

            join = added if blend == BOTH else motion_and_appearance
            return io.NodeOutput(
                join(weighted(first, first_weight), weighted(second, second_weight))
            )


class ConvertMotionAdapter(io.ComfyNode):
    """Full weights to LoRAs, and files for other programs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ConvertMotionAdapter",
            display_name="Convert Motion LoRA/Embedding",
            category=CATEGORY,
            description="Makes LoRAs of full weights (MotionCrafter's), which are small and load "
            "in other programs, or writes a motion as a file for AnimateDiff-Evolved, diffusers or "
            "peft. Says how much of the weights a LoRA keeps.",
            is_output_node=True,
            inputs=[
                MotionAdapterSocket.Input(
                    "motions", tooltip="What to convert; of several motions, the last."
                ),
                io.DynamicCombo.Input(
                    "to",
                    options=[
                        io.DynamicCombo.Option(LORA, []),
                        *(io.DynamicCombo.Option(name, _export_inputs(name)) for name in FORMATS),
                    ],
                    tooltip="LoRA: full weights become LoRAs in this graph, and Save Motion "
                    f"LoRA/Embedding keeps them. AnimateDiff: a file in models/{MOTION_LORAS}. "
                    "diffusers: looks as a file in models/loras, motion in output. peft: a file in "
                    "output. Files are written at strength 1, whatever the motion's is here.",
                ),
                io.Int.Input(
                    "rank",
                    default=32,
                    min=1,
                    max=1024,
                    tooltip="Of LoRAs made from full weights: a higher one keeps more of the "
                    "motion and makes a larger file. LoRAs keep their own rank.",
                ),
            ],
            outputs=[
                motions_output("The motions given, the last one as LoRAs."),
                file_output("The file that was written, with its folder; empty for LoRA."),
                io.String.Output(
                    "report", display_name="report", tooltip="What was made and what it keeps."
                ),
            ],
        )

    @classmethod
    def execute(cls, motions: MotionStack, to: dict[str, Any], rank: int) -> io.NodeOutput:
        with core_run():
            from ..motion_core.adapter_files.conversion import kept_lines, weights_as_loras

            motion = last_of(motions)
            made = weights_as_loras(motion.info, motion.adapters, rank)
            converted = dataclasses.replace(motion, info=made.info, adapters=made.adapters)
            lines = [
                line
                for name, conversion in made.conversions.items()
                for line in kept_lines(name, rank, conversion)
            ] or [f"{motion.name} holds no full weights: it stays as it is."]
            file = ""
            if to["to"] != LORA:
                file = _export(converted, **to)
                lines.append(f"Saved as {file}.")
            report = "\n".join(lines)
            return io.NodeOutput(
                (*motions[:-1], converted), file, report, ui=ui.PreviewText(report)
            )


def _export(motion: LoadedAdapter, *, to: str, name: str, replace: bool, which: str = "") -> str:
    """Writes one of the motion's LoRAs; returns the file, from ComfyUI's folder on."""
    from ..motion_core.adapter_files.conversion import chosen_name, export_lora
    from ..motion_core.backbones.files.tensors import write_tensors

    chosen = chosen_name(motion.adapters, which.strip() or None, motion.name, "which")
    tensors: dict[str, Tensor] = export_lora(motion.adapters, chosen, FORMATS[to], motion.name)
    folder, shown = _export_folder(FORMATS[to], motion.adapters[chosen].scope)
    others = adapter_folders() if FORMATS[to] == "animatediff" else ()
    path = new_file(folder, name, others=others, replace=replace)
    write_tensors(path, tensors, {"format": "pt"})
    return f"{shown}/{path.name}"


def _export_folder(to: str, scope: str) -> tuple[Path, str]:
    """Where the program that reads it looks, and what to call that."""
    if to == "animatediff":
        return save_folder(MOTION_LORAS), f"models/{MOTION_LORAS}"
    if to == "diffusers" and scope == "spatial":
        return save_folder("loras"), "models/loras"
    return Path(folder_paths.get_output_directory()) / "motion_adapters", "output/motion_adapters"


def _weight(name: str, which: str) -> io.Input:
    return io.Float.Input(
        name,
        default=1.0,
        min=-4.0,
        max=4.0,
        step=0.05,
        tooltip=f"Multiplies the strengths of the {which}: 1 leaves them as they are, 0 takes it "
        "out.",
    )


def _export_inputs(form: str) -> list[io.Input]:
    inputs: list[io.Input] = [
        io.String.Input("name", default="motion", tooltip="The file's name, without an ending."),
        io.Boolean.Input(
            "replace",
            default=False,
            tooltip="Whether a file of that name in that folder is replaced; else the new one gets "
            "a number.",
        ),
    ]
    if FORMATS[form] != "animatediff":
        inputs.append(
            io.String.Input(
                "which",
                default="",
                tooltip="Which of the motion's adapters, as Inspect names them: temporal for the "
                "motion, spatial.0 for the looks. Empty takes temporal, else the only one.",
            )
        )
    return inputs
