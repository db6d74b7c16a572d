"""Nodes: motions from files, into files, and what they are."""

from __future__ import annotations

import io as bytes_io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from comfy_api.latest import io, ui
from comfy_execution.graph_utils import ExecutionBlocker
from PIL import Image
from torch import Tensor

from ..motion_core.adapter_files.noise_file import noise_path
from ..motion_core.errors import AdapterError, FormatError
from .finding import found_by
from .host.bridge import core_run
from .host.file_choices import checked_name, checkpoint_folders, folder_of, new_file
from .host.folders import (
    ADAPTERS,
    MOTION_LORAS,
    adapter_files,
    adapter_folders,
    adapter_key,
    lora_files,
    save_folder,
)
from .host.model_choices import NONE
from .sockets import MotionAdapterSocket, MotionStack
from .widgets import fault_of

CATEGORY = "motion/adapters"
AS_SAVED = "as saved"
BY_KIND = "by kind"
AS_PLAYED = "all, as they play together"
LAST_AS_TRAINED = "the last, as it was trained"
DEBIASES = (AS_SAVED, "difference", "drop_value", "normalise", "none")


class LoadMotionAdapter(io.ComfyNode):
    """An adapter file of any program."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadMotionAdapter",
            display_name="Load Motion LoRA/Embedding",
            category=CATEGORY,
            **found_by(
                "motion lora",
                "load motion lora",
                "animatediff lora",
                "motion embedding",
                "motion transfer",
            ),
            description="Loads a motion adapter: a file from this pack, an AnimateDiff motion "
            "LoRA, a checkpoint from the official MotionDirector (the folder, or one N_unet.pt), "
            "or a motion_embed.pt from the official Motion Inversion. Chain loaders to combine "
            "several.",
            inputs=[
                io.Combo.Input(
                    "adapter",
                    options=_choices(),
                    tooltip=f"A file or checkpoint folder in models/{ADAPTERS} or "
                    f"models/{MOTION_LORAS}; if a name is in both, it is listed with its folder. "
                    "No code from the file is executed.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-4.0,
                    max=4.0,
                    step=0.05,
                    tooltip="How strongly the adapter is applied: 1 is as trained, 0 has no "
                    "effect, values above 1 exaggerate the motion, and negative values reverse "
                    "it.",
                ),
                io.Combo.Input(
                    "debias",
                    options=list(DEBIASES),
                    default=AS_SAVED,
                    optional=True,
                    tooltip="Only for Motion Inversion's embeddings: how the reference's "
                    "appearance is removed. difference suits object motion, drop_value camera "
                    "motion; normalise and none are ablations from the paper.",
                ),
                MotionAdapterSocket.Input(
                    "motions", optional=True, tooltip="Adapters to combine with this one."
                ),
            ],
            outputs=[motions_output("The input adapters, with this one last.")],
        )

    @classmethod
    def fingerprint_inputs(cls, adapter: str | None = None, **others: Any) -> list[Any]:
        """Changes with the file and the noise beside it, so that a new training is loaded anew."""
        path = adapter_path(adapter) if adapter else None
        if path is None:
            return []
        return stamps(path, noise_path(path))

    @classmethod
    def execute(
        cls,
        adapter: str,
        strength: float,
        debias: str = AS_SAVED,
        motions: MotionStack = (),
    ) -> io.NodeOutput:
        with core_run():
            from .blending import added, weighted
            from .motion_files import load_motion, with_debias

            path = adapter_path(adapter)
            if path is None:
                raise FormatError(
                    f"There is no {adapter} in models/{ADAPTERS} or models/{MOTION_LORAS}. Choose "
                    "another file, or put it back."
                )
            motion = load_motion(path, adapter)
            if debias != AS_SAVED:
                motion = with_debias(motion, debias)  # type: ignore[arg-type]
            return io.NodeOutput(added(motions, weighted([motion], strength)))


class SaveMotionAdapter(io.ComfyNode):
    """A motion into a file that the loaders list."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SaveMotionAdapter",
            display_name="Save Motion LoRA/Embedding",
            category=CATEGORY,
            **found_by("save motion lora", "export lora"),
            description="Saves an adapter, with its settings, previews and noise, to a file for "
            "Load Motion LoRA/Embedding; several adapters are merged into one file with the same "
            "combined effect. Training saves its own file; use this node for blends, conversions "
            "and files from other programs.",
            is_output_node=True,
            inputs=[
                MotionAdapterSocket.Input(
                    "motions",
                    tooltip="The adapter to save, or several from chained loaders or from Blend "
                    "Motions.",
                ),
                io.String.Input(
                    "name", default="motion", tooltip="The file name, without extension."
                ),
                io.Combo.Input(
                    "folder",
                    options=[BY_KIND, ADAPTERS, MOTION_LORAS],
                    default=BY_KIND,
                    tooltip=f"Folder in ComfyUI's models. by kind: {MOTION_LORAS} if "
                    f"AnimateDiff-Evolved can load the file too, {ADAPTERS} for everything else.",
                ),
                io.Boolean.Input(
                    "replace",
                    default=False,
                    tooltip="On: replace a file of the same name in that folder. Off: add a "
                    "number to the new name.",
                ),
                io.Combo.Input(
                    "what",
                    options=[AS_PLAYED, LAST_AS_TRAINED],
                    default=AS_PLAYED,
                    optional=True,
                    tooltip="all, as they play together: one file that at strength 1 has the "
                    "same effect as these adapters at their current strengths; parts that are "
                    "not applied (MotionDirector's appearance) are left out, except for a single "
                    "adapter at strength 1. the last, as it was trained: the complete last "
                    "adapter, without its strength.",
                ),
            ],
            outputs=[
                motions_output("The input adapters, unchanged."),
                file_output("The file name in the loaders' lists."),
            ],
        )

    @classmethod
    def validate_inputs(cls, name: str | None = None) -> bool | str:
        """Before anything is computed."""
        return fault_of(lambda: name is None or checked_name(name))

    @classmethod
    def execute(
        cls, motions: MotionStack, name: str, folder: str, replace: bool, what: str = AS_PLAYED
    ) -> io.NodeOutput:
        with core_run():
            from .motion_files import as_one, save_motion

            last = last_of(motions)
            motion = last if what == LAST_AS_TRAINED else as_one(motions)
            key = adapter_key(motion.info, motion.adapters) if folder == BY_KIND else folder
            path = new_file(save_folder(key), name, others=adapter_folders(), replace=replace)
            save_motion(path, motion)
            said = ui.PreviewText(f"Saved as {path.name} in models/{key}.")
            return io.NodeOutput(motions, path.name, ui=said)


class InspectMotionAdapter(io.ComfyNode):
    """What motions are made of, in words and pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InspectMotionAdapter",
            display_name="Inspect Motion LoRA/Embedding",
            category=CATEGORY,
            **found_by("lora info", "motion lora info", "metadata"),
            description="Shows how each adapter was trained: method and settings, base and its "
            "licence, rank, frames and size, prompts, and which of its parts are applied. Of a "
            "LoRA file it shows which model it is for and which programs can load it.",
            is_output_node=True,
            inputs=[
                MotionAdapterSocket.Input(
                    "motions", optional=True, tooltip="The adapters to inspect."
                ),
                lora_file_input(
                    "A LoRA file of any program to inspect, also of one for Wan or Stable "
                    "Diffusion: which model it is for, which of its tensors are understood, and "
                    "which programs can load it."
                ),
            ],
            outputs=[
                io.String.Output(
                    "text", display_name="text", tooltip="The text shown on the node."
                ),
                io.Image.Output(
                    "previews",
                    display_name="previews",
                    tooltip="Small preview pictures from the files, made at the end of training. "
                    "If there are none, connected nodes are skipped.",
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str = NONE, **others: Any) -> list[Any]:
        """Changes with the file."""
        path = lora_files().get(file)
        return stamps(path) if path else []

    @classmethod
    def execute(cls, motions: MotionStack = (), file: str = NONE) -> io.NodeOutput:
        with core_run():
            from .motion_texts import file_text, motion_text

            texts = [motion_text(motion) for motion in motions]
            texts += [file_text(lora_path(file))] if file != NONE else []
            text = "\n\n".join(texts) or "No adapter is connected and no file is chosen."
            pictures = [picture for motion in motions for picture in motion.previews]
            images = preview_images(pictures) if pictures else ExecutionBlocker(None)
            return io.NodeOutput(text, images, ui=ui.PreviewText(text))


def last_of(motions: MotionStack) -> Any:
    """The last motion; raises AdapterError if there is none."""
    if not motions:
        raise AdapterError("No adapter is connected. Connect a loader or Train Motion Adapter.")
    return motions[-1]


def preview_images(pictures: Sequence[bytes]) -> Tensor:
    """IMAGE (N, H, W, 3) in 0..1 of JPEG or PNG pictures, all at the first one's size."""
    images = [Image.open(bytes_io.BytesIO(picture)).convert("RGB") for picture in pictures]
    size = images[0].size
    return torch.stack(
        [torch.from_numpy(np.array(image.resize(size), np.float32) / 255) for image in images]
    )


def stamps(*files: Path) -> list[Any]:
    """What changes when one of the files that exist does."""
    there = [file for file in files if file.exists()]
    return [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in there]


def _choices() -> list[str]:
    files = adapter_files()
    return [*checkpoint_folders(files), *files]


def adapter_path(name: str) -> Path | None:
    """The path of one of `_choices`; None if it is gone."""
    files = adapter_files()
    member = checkpoint_folders(files).get(name)
    path = files.get(member or name)
    return folder_of(path) if path and member else path


def lora_file_input(tooltip: str) -> io.Combo.Input:
    return io.Combo.Input(
        "file", options=[NONE, *lora_files()], default=NONE, optional=True, tooltip=tooltip
    )


def lora_path(name: str) -> Path:
    """The path of a choice of `lora_file_input`; raises FormatError if it is gone."""
    path = lora_files().get(name)
    if path is None:
        raise FormatError(f"The file {name} no longer exists. Refresh the node and choose another.")
    return path


def motions_output(tooltip: str) -> io.Output:
    return MotionAdapterSocket.Output("motions_out", display_name="motions", tooltip=tooltip)


def file_output(tooltip: str) -> io.Output:
    return io.String.Output("file_name", display_name="file name", tooltip=tooltip)
