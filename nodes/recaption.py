"""Node: how clips look, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import comfy.model_management as management
import torch
from comfy_api.latest import io, ui

from ..motion_core.errors import ClipError, SettingsError
from .evaluation_models import NONE, make_room, model_folders, model_path
from .finding import found_by
from .host.bridge import NodeBar, OnStep, core_run, release_memory
from .host.folders import LANGUAGE
from .recaptions import given_recaptions, looks_of
from .sockets import MotionClips, MotionClipsSocket

if TYPE_CHECKING:
    from ..motion_core.types import Clip

CATEGORY = "motion/clips"
MODEL, TEXT = "model", "text"


class RecaptionFrames(io.ComfyNode):
    """How clips look, in words."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="RecaptionFrames",
            display_name="Recaption Frames",
            category=CATEGORY,
            **found_by("caption", "describe video"),
            description="Expands each clip's prompt with a description of its appearance, one "
            "line per video: for MoTrans's recaptions, which its appearance stage trains on. "
            "Written by one of your models, which sees a random frame, or by you.",
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
            inputs=[
                MotionClipsSocket.Input(
                    "clips", tooltip="The clips to describe, with their prompts."
                ),
                io.DynamicCombo.Input(
                    "by",
                    options=[
                        io.DynamicCombo.Option(MODEL, _recaptioner_inputs()),
                        io.DynamicCombo.Option(TEXT, [_text_input()]),
                    ],
                    tooltip="Captions from an image-text-to-text model or from you.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "recaptions",
                    display_name="recaptions",
                    tooltip="One line per video, for MoTrans's recaptions.",
                )
            ],
        )

    @classmethod
    def execute(cls, clips: MotionClips, by: dict[str, Any]) -> io.NodeOutput:
        with core_run():
            if not clips:
                raise ClipError("No clips to describe. Connect Motion Clip.")
            if by["by"] == TEXT:
                lines = given_recaptions(by["text"], looks_of(clips))
            else:
                on_step = NodeBar(cls.hidden.unique_id)
                lines = _recaptioned(looks_of(clips), by["model"], by["seed"], on_step)
            text = "\n".join(lines)
            return io.NodeOutput(text, ui=ui.PreviewText(text))


def _recaptioned(clips: Sequence[Clip], model: str, seed: int, on_step: OnStep) -> list[str]:
    """By one random frame of each clip."""
    from ..motion_core.methods.recaption import load_recaptioner

    folder = model_path(LANGUAGE, model)
    if folder is None:
        raise SettingsError(
            "No model was chosen. Put the folder of a transformers image-text-to-text model, "
            f"such as llava-1.5-7b-hf, into models/{LANGUAGE}, or choose {TEXT} and write the "
            "recaptions yourself."
        )
    rng = torch.Generator().manual_seed(seed)
    device = management.get_torch_device()
    make_room([folder])
    recaptioner = load_recaptioner(folder, device)
    try:
        lines = []
        for done, clip in enumerate(clips, start=1):
            frame = clip.frames[int(torch.randint(len(clip.frames), (), generator=rng))]
            lines.append(recaptioner.recaption(frame, clip.prompt))
            on_step(done, len(clips))
        return lines
    finally:
        del recaptioner
        release_memory()


def _recaptioner_inputs() -> list[io.Input]:
    return [
        io.Combo.Input(
            "model",
            options=model_folders(LANGUAGE) or [NONE],
            tooltip="Folder of a transformers image-text-to-text model (LLaVA, Qwen-VL …) in "
            f"models/{LANGUAGE}.",
        ),
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=2**63 - 1,
            control_after_generate=False,
            tooltip="Decides which frame of each clip the model sees.",
        ),
    ]


def _text_input() -> io.Input:
    return io.String.Input(
        "text",
        default="",
        multiline=True,
        tooltip="One line for all videos, or one line each: the prompt plus colours, shapes, "
        "clothes, background, light and style.",
    )
