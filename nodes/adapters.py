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
from .host.bridge import core_run
from .host.file_choices import checkpoint_folders, folder_of, new_file
from .host.folders import (
    ADAPTERS,
    MOTION_LORAS,
    adapter_files,
    adapter_folders,
    adapter_key,
    save_folder,
)
from .sockets import MotionAdapterSocket, MotionStack

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
            description="Loads a learned motion: a file of this pack, an AnimateDiff motion LoRA, "
            "a checkpoint of the official MotionDirector (the folder, or one N_unet.pt), or a "
            "motion_embed.pt of the official Motion Inversion. Chain it to play several together.",
            inputs=[
                io.Combo.Input(
                    "adapter",
                    options=_choices(),
                    tooltip=f"A file or checkpoint folder in models/{ADAPTERS} or "
                    f"models/{MOTION_LORAS}; a name that is in both has its folder's before it. "
                    "Nothing in it is run.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-4.0,
                    max=4.0,
                    step=0.05,
                    tooltip="How strongly the motion plays: 1 as it was trained, 0 not at all, "
                    "more than 1 exaggerates it, and below 0 turns it round.",
                ),
                io.Combo.Input(
                    "debias",
                    options=list(DEBIASES),
                    default=AS_SAVED,
                    optional=True,
                    tooltip="For Motion Inversion's embeddings only: how the reference's looks are "
                    "taken out of them. difference for the motion of objects, drop_value for the "
                    "motion of the camera; normalise and none are the paper's ablations.",
                ),
                MotionAdapterSocket.Input(
                    "motions", optional=True, tooltip="Motions that this one is added to."
                ),
            ],
            outputs=[motions_output("The motions given, and this one last.")],
        )

    @classmethod
    def fingerprint_inputs(cls, adapter: str | None = None, **others: Any) -> list[Any]:
        """Changes with the file and the noise beside it, so that a new training is loaded anew."""
        path = _chosen_path(adapter) if adapter else None
        if path is None:
            return []
        files = [file for file in (path, noise_path(path)) if file.exists()]
        return [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files]

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

            path = _chosen_path(adapter)
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
            description="Writes a motion, with its settings, pictures and noise, into a file that "
            "Load Motion LoRA/Embedding lists; several motions become one file that plays as they "
            "do together. Training saves its own; this is for blends, conversions and other "
            "programs' files.",
            is_output_node=True,
            inputs=[
                MotionAdapterSocket.Input(
                    "motions",
                    tooltip="What to save: one motion, or several from a chain of loaders or from "
                    "Blend Motions.",
                ),
                io.String.Input(
                    "name", default="motion", tooltip="The file's name, without an ending."
                ),
                io.Combo.Input(
                    "folder",
                    options=[BY_KIND, ADAPTERS, MOTION_LORAS],
                    default=BY_KIND,
                    tooltip=f"Under ComfyUI's models. by kind: {MOTION_LORAS} for what "
                    f"AnimateDiff-Evolved loads as well, {ADAPTERS} for all else.",
                ),
                io.Boolean.Input(
                    "replace",
                    default=False,
                    tooltip="Whether a file of that name in that folder is replaced; else the new "
                    "one gets a number.",
                ),
                io.Combo.Input(
                    "what",
                    options=[AS_PLAYED, LAST_AS_TRAINED],
                    default=AS_PLAYED,
                    optional=True,
                    tooltip="as they play: one file that does at strength 1 what the motions do "
                    "now, each at its strength; what does not play (MotionDirector's looks) is "
                    "left out, but for a single motion at strength 1. as it was trained: the last "
                    "motion whole, without its strength.",
                ),
            ],
            outputs=[
                motions_output("The motions given, unchanged."),
                file_output("The file's name in the loaders' lists."),
            ],
        )

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
            description="Says how each motion was trained: method and settings, base and its "
            "licence, rank, frames and size, prompts, and which of its adapters play.",
            is_output_node=True,
            inputs=[
                MotionAdapterSocket.Input("motions", tooltip="What to look into, all of them.")
            ],
            outputs=[
                io.String.Output(
                    "text", display_name="text", tooltip="The same as is shown on the node."
                ),
                io.Image.Output(
                    "previews",
                    display_name="previews",
                    tooltip="The files' small pictures, of the motion as it came out of training. "
                    "Where there are none, nothing that is connected here runs.",
                ),
            ],
        )

    @classmethod
    def execute(cls, motions: MotionStack) -> io.NodeOutput:
        with core_run():
            from .motion_texts import motion_text

            text = "\n\n".join(motion_text(motion) for motion in motions)
            text = text or "No motion is connected."
            pictures = [picture for motion in motions for picture in motion.previews]
            images = preview_images(pictures) if pictures else ExecutionBlocker(None)
            return io.NodeOutput(text, images, ui=ui.PreviewText(text))


def last_of(motions: MotionStack) -> Any:
    """The last motion; raises AdapterError if there is none."""
    if not motions:
        raise AdapterError("No motion is connected. Connect a loader or a training.")
    return motions[-1]


def preview_images(pictures: Sequence[bytes]) -> Tensor:
    """IMAGE (N, H, W, 3) in 0..1 of JPEG or PNG pictures, all at the first one's size."""
    images = [Image.open(bytes_io.BytesIO(picture)).convert("RGB") for picture in pictures]
    size = images[0].size
    return torch.stack(
        [torch.from_numpy(np.array(image.resize(size), np.float32) / 255) for image in images]
    )


def _choices() -> list[str]:
    files = adapter_files()
    return [*checkpoint_folders(files), *files]


def _chosen_path(name: str) -> Path | None:
    """The path of one of `_choices`; None if it is gone."""
    files = adapter_files()
    member = checkpoint_folders(files).get(name)
    path = files.get(member or name)
    return folder_of(path) if path and member else path


def motions_output(tooltip: str) -> io.Output:
    return MotionAdapterSocket.Output("motions_out", display_name="motions", tooltip=tooltip)


def file_output(tooltip: str) -> io.Output:
    return io.String.Output("file_name", display_name="file name", tooltip=tooltip)
