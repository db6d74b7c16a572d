"""Node: how well a motion was learned, in figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import comfy.model_management as management
import torch
from comfy_api.latest import io, ui

from ..motion_core.errors import ClipError
from .evaluation_models import NONE, make_room, model_files, model_folders, model_path
from .host.bridge import OnStep, core_run, pixels_from_image, release_memory, steps_shown
from .host.folders import EVALUATION
from .sockets import MotionClips, MotionClipsSocket

if TYPE_CHECKING:
    from ..motion_core.evaluation.models import ModelFiles
    from ..motion_core.evaluation.report import Report
    from ..motion_core.types import Clip

CATEGORY = "motion/sample"
# open_clip's names of architectures whose tokenizer comes with it; the first ships with this pack.
CLIP_MODELS = ("shape-world", "ViT-H-14", "ViT-L-14", "ViT-B-32", "ViT-B-16", "ViT-L-14-quickgelu")


class EvaluateMotion(io.ComfyNode):
    """The papers' metrics of generated videos."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EvaluateMotion",
            display_name="Evaluate Motion",
            category=CATEGORY,
            description="Measures a video: does it move as the reference does, does it show the "
            "prompt, does it hold together? A metric whose model is not there is listed with what "
            f"to put where. Models go into models/{EVALUATION}; nothing is fetched.",
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
            inputs=[*_subject_inputs(), *_model_inputs()],
            outputs=[
                io.String.Output(
                    "text", display_name="text", tooltip="A table, and what is missing."
                ),
                io.String.Output(
                    "json",
                    display_name="JSON",
                    tooltip="The same with every metric's meaning and source, for programs.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        reference: MotionClips,
        frames: torch.Tensor,
        prompt: str,
        entity_prompt: str,
        base_frames: torch.Tensor | None = None,
        **models: str,
    ) -> io.NodeOutput:
        with core_run():
            clip = _reference(reference)
            videos = {"generated": frames}
            if base_frames is not None:
                videos["base alone"] = base_frames
            files = _files(**models)
            make_room([files.clip_weights, files.videomae, files.pick_score])
            on_step = steps_shown(cls.hidden.unique_id)
            try:
                report = _report(clip, videos, prompt, entity_prompt, files, on_step)
            finally:
                release_memory()
            text = "\n".join(report.lines())
            if report.missing:
                text += f"\n\nModels go into models/{EVALUATION}."
            record = json.dumps(report.to_mapping(), indent=2)
            return io.NodeOutput(text, record, ui=ui.PreviewText(text))


def _reference(clips: MotionClips) -> Clip:
    """The first video: the others share its motion."""
    found = next((clip for clip in clips if not clip.is_image), None)
    if found is None:
        raise ClipError("The reference has no motion. Connect the clip that was learned.")
    return found


def _report(
    clip: Clip,
    videos: dict[str, torch.Tensor],
    prompt: str,
    entity_prompt: str,
    files: ModelFiles,
    on_step: OnStep,
) -> Report:
    from ..motion_core.evaluation.base import Subject
    from ..motion_core.evaluation.evaluate import evaluate_frames
    from ..motion_core.evaluation.videos import Video

    subjects = [
        Subject(
            video=Video(name=name, frames=pixels_from_image(images), fps=clip.fps),
            prompt=prompt.strip() or None,
            entity_prompt=entity_prompt.strip() or None,
        )
        for name, images in videos.items()
    ]
    reference = Video(name=clip.source, frames=clip.frames, fps=clip.fps)
    return evaluate_frames(subjects, reference, files, management.get_torch_device(), on_step)


def _files(
    *,
    clip_model: str,
    clip_weights: str,
    videomae: str,
    pick_score: str,
    tracker: str,
    cotracker_weights: str,
) -> ModelFiles:
    """What is chosen, as the core takes it; raises SettingsError for choices that contradict each
    other.
    """
    from ..motion_core.evaluation.models import ModelFiles

    return ModelFiles(
        clip_model=None if clip_model == NONE else clip_model,
        clip_weights=model_path(EVALUATION, clip_weights),
        videomae=model_path(EVALUATION, videomae),
        pick_score=model_path(EVALUATION, pick_score),
        tracker=tracker,  # type: ignore[arg-type]
        cotracker_weights=model_path(EVALUATION, cotracker_weights),
    )


def _subject_inputs() -> list[io.Input]:
    return [
        MotionClipsSocket.Input(
            "reference", tooltip="The clip whose motion was learned; of several, the first video."
        ),
        io.Image.Input(
            "frames", tooltip="The video to measure, with as many frames as the reference."
        ),
        io.String.Input(
            "prompt",
            default="",
            multiline=True,
            tooltip="What the video should show, for the metrics of text. Empty leaves them out.",
        ),
        io.String.Input(
            "entity_prompt",
            default="",
            tooltip="The subject alone, such as 'a panda', to see whether it is there. Empty "
            "leaves that metric out.",
        ),
        io.Image.Input(
            "base_frames",
            optional=True,
            tooltip="The same prompt and seed without the motion, to compare: measured as well.",
        ),
    ]


def _model_inputs() -> list[io.Input]:
    folders, files = [NONE, *model_folders(EVALUATION)], [NONE, *model_files()]
    return [
        io.Combo.Input(
            "clip_model",
            options=[NONE, *CLIP_MODELS],
            default=NONE,
            tooltip="CLIP for text and consistency: open_clip's name of the model that "
            "clip_weights are of; shape-world ships with the pack and knows its shapes only.",
        ),
        io.Combo.Input(
            "clip_weights",
            options=files,
            default=NONE,
            tooltip="open_clip's weights of clip_model, a file such as "
            f"open_clip_pytorch_model.bin in models/{EVALUATION}.",
        ),
        io.Combo.Input(
            "videomae",
            options=folders,
            default=NONE,
            tooltip=f"A folder of MCG-NJU/videomae-base in models/{EVALUATION}: whether a network "
            "that knows actions sees the same one.",
        ),
        io.Combo.Input(
            "pick_score",
            options=folders,
            default=NONE,
            tooltip=f"A folder of yuvalkirstain/PickScore_v1 in models/{EVALUATION}: how much "
            "people would like it.",
        ),
        io.Combo.Input(
            "tracker",
            options=["opencv", "cotracker"],
            default="opencv",
            tooltip="What follows points for the motion of tracklets. opencv needs no model; "
            "cotracker is the paper's and needs its package and cotracker_weights.",
        ),
        io.Combo.Input(
            "cotracker_weights",
            options=files,
            default=NONE,
            tooltip=f"scaled_offline.pth of CoTracker, in models/{EVALUATION}.",
        ),
    ]
