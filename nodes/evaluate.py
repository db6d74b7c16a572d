"""Node: how well a motion was learned, in figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import comfy.model_management as management
import torch
from comfy_api.latest import io, ui

from ..motion_core.errors import ClipError
from .evaluation_models import NONE, make_room, model_files, model_folders, model_path
from .finding import found_by
from .host.bridge import NodeBar, OnStep, core_run, pixels_from_image, release_memory
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
            **found_by("motion fidelity", "clip score", "metrics"),
            description="Measures a video: does it move like the reference, does it match the "
            "prompt, is it consistent? If a metric's model is missing, the table lists what to "
            f"put where. Models belong in models/{EVALUATION}; nothing is downloaded.",
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
            inputs=[*_subject_inputs(), *_model_inputs()],
            outputs=[
                io.String.Output(
                    "text", display_name="text", tooltip="A table of scores, and what is missing."
                ),
                io.String.Output(
                    "json",
                    display_name="JSON",
                    tooltip="The same for programs, with the meaning and source of every metric.",
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
            on_step = NodeBar(cls.hidden.unique_id)
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
        raise ClipError("The reference has no motion. Connect the clip used for training.")
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
            "reference",
            tooltip="The clip used for training; if there are several, the first video.",
        ),
        io.Image.Input(
            "frames",
            tooltip="The video to measure, with the same number of frames as the reference.",
        ),
        io.String.Input(
            "prompt",
            default="",
            multiline=True,
            tooltip="What the video should show, for the text metrics. Empty skips them.",
        ),
        io.String.Input(
            "entity_prompt",
            default="",
            tooltip="The subject only, such as 'a panda', to measure whether it appears. Empty "
            "skips this metric.",
        ),
        io.Image.Input(
            "base_frames",
            optional=True,
            tooltip="For comparison: a video with the same prompt and seed but without the "
            "adapter. It is measured too.",
        ),
    ]


def _model_inputs() -> list[io.Input]:
    folders, files = [NONE, *model_folders(EVALUATION)], [NONE, *model_files()]
    return [
        io.Combo.Input(
            "clip_model",
            options=[NONE, *CLIP_MODELS],
            default=NONE,
            tooltip="CLIP model for text and consistency: open_clip's name for the model in "
            "clip_weights. shape-world is bundled with the pack and only knows its shapes.",
        ),
        io.Combo.Input(
            "clip_weights",
            options=files,
            default=NONE,
            tooltip="open_clip weights for clip_model, a file such as "
            f"open_clip_pytorch_model.bin in models/{EVALUATION}.",
        ),
        io.Combo.Input(
            "videomae",
            options=folders,
            default=NONE,
            tooltip=f"A folder with MCG-NJU/videomae-base in models/{EVALUATION}: measures "
            "whether a network trained on videos sees the same action.",
        ),
        io.Combo.Input(
            "pick_score",
            options=folders,
            default=NONE,
            tooltip=f"A folder with yuvalkirstain/PickScore_v1 in models/{EVALUATION}: estimates "
            "how much people would like the video.",
        ),
        io.Combo.Input(
            "tracker",
            options=["opencv", "cotracker"],
            default="opencv",
            tooltip="Point tracker for the tracklet metric. opencv needs no model; cotracker is "
            "used in the paper and needs its package and cotracker_weights.",
        ),
        io.Combo.Input(
            "cotracker_weights",
            options=files,
            default=NONE,
            tooltip=f"CoTracker's scaled_offline.pth, in models/{EVALUATION}.",
        ),
    ]
