"""Nodes: motions in other forms, blended with each other or converted."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths
from comfy_api.latest import io, ui

from ..motion_core.adapter_files.formats import FORMATS, Format
from ..motion_core.errors import FormatError
from .adapters import (
    CATEGORY,
    file_output,
    last_of,
    lora_file_input,
    lora_path,
    motions_output,
)
from .finding import found_by
from .host.bridge import core_run
from .host.file_choices import checked_name, new_file
from .host.folders import MOTION_LORAS, adapter_folders, save_folder
from .host.model_choices import NONE
from .sockets import MotionAdapterSocket, MotionStack
from .widgets import fault_of

if TYPE_CHECKING:
    from ..motion_core.adapter_files.loaded import LoadedAdapter

BOTH = "both motions"
LOOKS = "motion of the first, looks of the second"
LORA = "LoRA"
NAMES = {form.title: name for name, form in FORMATS.items()}


class BlendMotions(io.ComfyNode):
    """Two stacks of motions as one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="BlendMotions",
            display_name="Blend Motions",
            category=CATEGORY,
            **found_by("merge lora", "mix motions", "combine loras"),
            description="Combines two adapters, each with its own weight; or the motion of one "
            "with the appearance of the other (for MotionDirector and MoTrans, which train them "
            "separately).",
            inputs=[
                MotionAdapterSocket.Input("first", tooltip="One or more adapters."),
                MotionAdapterSocket.Input(
                    "second", tooltip="One or more adapters, or the source of the appearance."
                ),
                io.Combo.Input(
                    "blend",
                    options=[BOTH, LOOKS],
                    default=BOTH,
                    tooltip="both motions: apply both adapters as they are. The other choice "
                    "takes only the motion of the first and only the appearance of the second.",
                ),
                _weight("first_weight", "first"),
                _weight("second_weight", "second"),
            ],
            outputs=[motions_output("Both, to be applied together.")],
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
            **found_by("convert lora", "extract lora"),
            description="Converts full weights (MotionCrafter's) into LoRAs, which are small and "
            "load in other programs, or saves an adapter as a file for AnimateDiff-Evolved, "
            "ComfyUI, diffusers, kohya, musubi or peft. Also renames LoRA files of other programs. "
            "Reports how much of the weights a LoRA keeps.",
            is_output_node=True,
            inputs=[
                MotionAdapterSocket.Input(
                    "motions",
                    optional=True,
                    tooltip="The adapter to convert; if there are several, the last one.",
                ),
                io.DynamicCombo.Input(
                    "to",
                    options=[
                        io.DynamicCombo.Option(LORA, []),
                        *(
                            io.DynamicCombo.Option(form.title, _export_inputs(form))
                            for form in FORMATS.values()
                        ),
                    ],
                    tooltip="LoRA: full weights become LoRAs in this graph; save them with Save "
                    f"Motion LoRA/Embedding. AnimateDiff: a file in models/{MOTION_LORAS}. "
                    "diffusers, ComfyUI, kohya and musubi: appearance, and LoRAs for Wan, as a "
                    "file in models/loras, motion in output. peft: a file in output. Files are "
                    "saved at strength 1, whatever the adapter's strength is here.",
                ),
                io.Int.Input(
                    "rank",
                    default=32,
                    min=1,
                    max=1024,
                    tooltip="Rank of LoRAs made from full weights: a higher rank keeps more of "
                    "the motion and makes a larger file. Existing LoRAs keep their rank.",
                ),
                lora_file_input(
                    "A LoRA file of any program, for AnimateDiff, Stable Diffusion 1.5 or Wan, to "
                    "save under the chosen program's names in place of motions."
                ),
            ],
            outputs=[
                motions_output("The input adapters, with the last one converted to LoRAs."),
                file_output("The saved file with its folder; empty for LoRA."),
                io.String.Output(
                    "report",
                    display_name="report",
                    tooltip="What was converted, and how much of it was kept.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, to: Any = None) -> bool | str:
        """Before anything is computed. to: with the inputs of its choice."""
        name = to.get("name") if isinstance(to, dict) else None
        return fault_of(lambda: name is None or checked_name(name))

    @classmethod
    def execute(
        cls, motions: MotionStack = (), *, to: dict[str, Any], rank: int, file: str = NONE
    ) -> io.NodeOutput:
        if file != NONE:
            return _renamed(motions, lora_path(file), to)
        with core_run():
            from ..motion_core.adapter_files.conversion import kept_lines, weights_as_loras

            motion = last_of(motions)
            made = weights_as_loras(motion.info, motion.adapters, rank)
            converted = dataclasses.replace(motion, info=made.info, adapters=made.adapters)
            lines = [
                line
                for name, conversion in made.conversions.items()
                for line in kept_lines(name, rank, conversion)
            ] or [f"{motion.name} contains no full weights and was left unchanged."]
            saved = ""
            if to["to"] != LORA:
                saved = _export(converted, **to)
                lines.append(f"Saved as {saved}.")
            report = "\n".join(lines)
            return io.NodeOutput(
                (*motions[:-1], converted), saved, report, ui=ui.PreviewText(report)
            )


def _export(motion: LoadedAdapter, *, to: str, name: str, replace: bool, which: str = "") -> str:
    """Writes one of the motion's LoRAs; returns the file, from ComfyUI's folder on."""
    from ..motion_core.adapter_files.conversion import chosen_name, export_lora
    from ..motion_core.backbones.files.tensors import write_tensors

    chosen = chosen_name(motion.adapters, which.strip() or None, motion.name, "which")
    tensors, metadata = export_lora(motion.adapters, chosen, NAMES[to], motion.name)
    path, shown = _export_file(to, motion.adapters[chosen].scope, name, replace)
    write_tensors(path, tensors, metadata)
    return shown


def _renamed(motions: MotionStack, path: Path, to: dict[str, Any]) -> io.NodeOutput:
    """Another program's LoRA file under the names of `to`; the motions go through."""
    with core_run():
        from ..motion_core.adapter_files.other_programs import left_out_lines, renamed
        from ..motion_core.backbones.files.lora_content import lora_content
        from ..motion_core.backbones.files.lora_networks import Network
        from ..motion_core.backbones.files.tensors import open_tensors, write_tensors

        form = to["to"]
        content = lora_content(open_tensors(path))
        if form == LORA or content is None:
            raise FormatError(
                f"{path.name} cannot be converted to {form}. Choose a LoRA file, and a program to "
                "convert it for, or set file to none."
            )
        made = renamed(content, NAMES[form])
        motion = content.main in (Network.MOTION_MODULE, Network.VIDEO_UNET)
        scope = "temporal" if motion else "spatial"
        target, shown = _export_file(form, scope, to["name"], to["replace"])
        write_tensors(target, made.tensors, {"format": "pt"})
        report = "\n".join([*left_out_lines(path.name, made.left_out), f"Saved as {shown}."])
        return io.NodeOutput(motions, shown, report, ui=ui.PreviewText(report))


def _export_file(to: str, scope: str, name: str, replace: bool) -> tuple[Path, str]:
    """The new file, and what to call it, from ComfyUI's folder on."""
    folder, shown = _export_folder(FORMATS[NAMES[to]], scope)
    others = adapter_folders() if folder in adapter_folders() else ()
    path = new_file(folder, name, others=others, replace=replace)
    return path, f"{shown}/{path.name}"


def _export_folder(form: Format, scope: str) -> tuple[Path, str]:
    """Where the program that reads it looks, and what to call that."""
    key = form.folders.get(scope)
    if key is not None:
        return save_folder(key), f"models/{key}"
    return Path(folder_paths.get_output_directory()) / "motion_adapters", "output/motion_adapters"


def _weight(name: str, which: str) -> io.Input:
    return io.Float.Input(
        name,
        default=1.0,
        min=-4.0,
        max=4.0,
        step=0.05,
        tooltip=f"Multiplies the strengths of the {which}: 1 leaves them unchanged, 0 turns it "
        "off.",
    )


def _export_inputs(form: Format) -> list[io.Input]:
    inputs: list[io.Input] = [
        io.String.Input("name", default="motion", tooltip="The file name, without extension."),
        io.Boolean.Input(
            "replace",
            default=False,
            tooltip="On: replace a file of the same name in that folder. Off: add a number to "
            "the new name.",
        ),
    ]
    if len(form.scopes) > 1:
        inputs.append(
            io.String.Input(
                "which",
                default="",
                tooltip="The part to convert, as named by Inspect: temporal for the motion, "
                "spatial.0 for the appearance. Empty: temporal, or the only part.",
            )
        )
    return inputs
