"""Nodes: from videos and frames to the clips that a training learns from."""

from __future__ import annotations

import hashlib
import logging
from functools import partial
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io, ui

from ..motion_core.errors import ClipError
from ..motion_core.settings import fields_by_name, fields_of
from ..motion_core.video.clips import cut_clips, load_clips, load_image_clips
from ..motion_core.video.framing import fit_frame
from ..motion_core.video.kinds import kind_of, media_in
from ..motion_core.video.settings import ClipSettings
from .clip_choices import Cut, cut_of, left_out, usual_cut
from .finding import found_by
from .host.bridge import (
    NodeBar,
    core_run,
    frame_source,
    image_from_pixels,
    say_on_node,
)
from .host.folders import media_path
from .sockets import MotionClipsSocket
from .suited.connected import PICTURES
from .suited.here import here
from .suited.of_sampling import of_clip
from .suited.prompt_graph import PromptGraph
from .widgets import ADVANCED, check_text, fault_of, refused, widget

if TYPE_CHECKING:
    from ..motion_core.types import Clip
    from ..motion_core.video.frame_source import OnProgress

logger = logging.getLogger(__name__)

CATEGORY = "motion/clips"
FRAMES = "frames of one clip"
DESCRIBE = "Describe the clip, for example 'a car turns left'."
_FIELDS = fields_by_name(ClipSettings)
EXPERT = ("stride", "fit", "windows")


def _frame_inputs() -> list[io.Input]:
    """Which frames, at which size; the same for one video and for a folder of them."""
    usual = usual_cut()
    return [
        widget(
            field,
            default=usual.get(field.name, field.default),
            optional=True,
            extra_dict=ADVANCED if field.name in EXPERT else None,
        )
        for field in fields_of(ClipSettings)
    ]


def _outputs() -> list[io.Output]:
    return [
        MotionClipsSocket.Output(
            "clips", display_name="clips", tooltip="For Train Motion Adapter."
        ),
        io.Image.Output(
            "frames_seen",
            display_name="frames",
            tooltip="What the training will see, one clip after another; (frames, height, width, "
            "3). Clips that differ in size from the first are shown at its size, on black.",
        ),
    ]


class MotionClip(io.ComfyNode):
    """A video or a batch of frames as training clips."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MotionClip",
            display_name="Motion Clip",
            category=CATEGORY,
            **found_by(
                "video clip", "reference video", "train video", "motion transfer", "dataset"
            ),
            description="Cuts a training clip from a video, sized exactly as the training will "
            "see it. A single image trains appearance.",
            is_output_node=True,  # so that the clip can be looked at before there is a training
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            inputs=[
                io.MultiType.Input(
                    "video",
                    [io.Image, io.Video],
                    tooltip="A VIDEO, or an IMAGE batch with the frames in order.",
                ),
                io.String.Input(
                    "prompt",
                    default="",
                    multiline=True,
                    tooltip="Describe the clip in plain words, including its motion: 'a red car "
                    "turns left on a road'. The motion is tied to this prompt.",
                ),
                *_frame_inputs(),
                io.Float.Input(
                    "image_fps",
                    default=8.0,
                    min=0.1,
                    max=240.0,
                    step=0.5,
                    optional=True,
                    tooltip="Frames per second of an IMAGE batch, which does not carry its frame "
                    "rate. Ignored for a VIDEO, which does.",
                ),
            ],
            outputs=_outputs(),
        )

    @classmethod
    def validate_inputs(
        cls, prompt: str | None = None, width: int | None = None, height: int | None = None
    ) -> bool | str:
        """Before anything is computed."""
        size = refused(_FIELDS, {"width": width, "height": height})
        return fault_of(partial(check_text, "prompt", prompt, DESCRIBE)) if size is True else size

    @classmethod
    def fingerprint_inputs(cls, **choices: Any) -> float:
        """Another each time where something is left out: what suits then follows from the graph,
        which ComfyUI does not tell here.
        """
        return nan if left_out(choices) else 0.0

    @classmethod
    def execute(
        cls, video: Any, prompt: str, image_fps: float = 8.0, **choices: Any
    ) -> io.NodeOutput:
        with core_run():
            with frame_source(video, image_fps) as source:
                cut = _cut(cls, choices, len(source.times))
                clips = cut_clips(source, cut.settings, prompt, _shown(), _noted)
                return _output(cls, clips, cut)


class MotionClipsFromFolder(io.ComfyNode):
    """Videos of a folder as training clips."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MotionClipsFromFolder",
            display_name="Motion Clips From Folder",
            category=CATEGORY,
            **found_by("video folder", "dataset folder", "load videos"),
            description="Loads all videos in a folder, to train a motion they share; or the "
            "images in a folder as the frames of one clip. Captions are read from text files "
            "next to them (car.txt for car.mp4).",
            is_output_node=True,
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            inputs=[
                io.String.Input(
                    "folder",
                    default="",
                    tooltip="A folder or file in ComfyUI's input folder, or its full path.",
                ),
                io.String.Input(
                    "prompt",
                    default="",
                    multiline=True,
                    tooltip="One prompt for all clips; if empty, each clip's caption file is read.",
                ),
                *_frame_inputs(),
                io.Combo.Input(
                    "images",
                    options=[FRAMES, PICTURES],
                    default=FRAMES,
                    optional=True,
                    tooltip="What the images of a folder are: the frames of one clip, in the order "
                    "of their names, or pictures of one subject, to train its appearance.",
                ),
            ],
            outputs=_outputs(),
        )

    @classmethod
    def validate_inputs(
        cls, folder: str | None = None, width: int | None = None, height: int | None = None
    ) -> bool | str:
        """Before anything is computed."""
        size = refused(_FIELDS, {"width": width, "height": height})
        return fault_of(lambda: folder is None or found(folder)) if size is True else size

    @classmethod
    def fingerprint_inputs(cls, folder: str | None, **choices: Any) -> str | float:
        """Changes with the names, sizes and times of the folder's files; each time where the folder
        comes from another node, which ComfyUI does not tell here, or as for Motion Clip.
        """
        if folder is None or left_out(choices):
            return nan
        path = media_path(folder)
        files = sorted(path.iterdir()) if path.is_dir() else [path, path.with_suffix(".txt")]
        stats = [(file.name, file.stat()) for file in files if file.is_file()]
        listing = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
        return hashlib.sha256(repr(listing).encode()).hexdigest()

    @classmethod
    def execute(
        cls, folder: str, prompt: str, images: str = FRAMES, **choices: Any
    ) -> io.NodeOutput:
        with core_run():
            path = found(folder)
            cut = _cut(cls, choices, _images(path))
            given_prompt = prompt.strip() or None
            if images == PICTURES:
                clips = load_image_clips(path, cut.settings, given_prompt, _shown())
            else:
                clips = load_clips(path, cut.settings, given_prompt, _shown(), _noted)
            return _output(cls, clips, cut)


class CombineMotionClips(io.ComfyNode):
    """Clips of several nodes as the clips of one training."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CombineMotionClips",
            display_name="Combine Motion Clips",
            category=CATEGORY,
            **found_by("merge clips", "several videos"),
            description="Combines clips, each with its own prompt, to train the motion they "
            "share. Chain this node for more than four.",
            inputs=[
                MotionClipsSocket.Input(
                    "clips_1", tooltip="Clips to train on; the order does not matter."
                ),
                MotionClipsSocket.Input(
                    "clips_2", tooltip="More clips; they may differ in size and length."
                ),
                MotionClipsSocket.Input("clips_3", optional=True, tooltip="More clips, if any."),
                MotionClipsSocket.Input("clips_4", optional=True, tooltip="More clips, if any."),
            ],
            outputs=[
                MotionClipsSocket.Output(
                    "clips", display_name="clips", tooltip="All clips, for Train Motion Adapter."
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        clips_1: tuple[Clip, ...],
        clips_2: tuple[Clip, ...],
        clips_3: tuple[Clip, ...] = (),
        clips_4: tuple[Clip, ...] = (),
    ) -> io.NodeOutput:
        return io.NodeOutput((*clips_1, *clips_2, *clips_3, *clips_4))


def _cut(cls: type[io.ComfyNode], choices: dict[str, Any], frames: int) -> Cut:
    """As the node says; what is left out suits the training that it is connected to."""
    node = str(cls.hidden.unique_id)
    graph = PromptGraph(cls.hidden.prompt or {}, {node: list(choices)})
    return cut_of(choices, frames, of_clip(graph, node, here()))


def _images(path: Path) -> int:
    """1 where there is a single image and nothing else; 0 for all else."""
    if not path.is_dir():
        return int(path.is_file() and kind_of(path) == "image")
    media = media_in(path)
    return int(not media.videos and len(media.images) == 1)


def _shown() -> OnProgress:
    """How far the reading is, on the node's bar; Cancel stops it."""
    on_step = NodeBar(None)
    return lambda done: on_step(round(100 * done), 100)


def _noted(text: str) -> None:
    """Onto the node, before the reading goes on, and into the log."""
    logger.warning("%s", text)
    say_on_node(text)


def found(folder: str) -> Path:
    """The folder or file. Raises ClipError where none is given, or there is none."""
    enter = "Enter the name of a folder in ComfyUI's input folder, or a full path."
    if not folder.strip():
        raise ClipError(f"No folder was given. {enter}")
    path = media_path(folder)
    if not path.exists():
        raise ClipError(f"There is no {path}. {enter}")
    return path


def _padded(frames: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The frames at the size of the picture that they are shown in."""
    if frames.shape[2:] == (height, width):
        return frames
    return torch.stack([fit_frame(frame, height, width, "pad") for frame in frames])


def _output(cls: type[io.ComfyNode], clips: list[Clip], cut: Cut) -> io.NodeOutput:
    size = clips[0].frames.shape[2:]
    shown = torch.cat([image_from_pixels(_padded(clip.frames, *size)) for clip in clips])
    helper = ui.ImageSaveHelper
    preview = helper.save_animated_webp(
        shown,
        filename_prefix="motion_clip",
        folder_type=io.FolderType.temp,
        cls=cls,
        fps=clips[0].fps,
        lossless=False,
        quality=80,
        method=0,
    )
    animation = ui.SavedImages([preview], is_animated=len(shown) > 1)
    told = {**animation.as_dict(), "text": [*map(told_of, clips), *cut.notes]}
    return io.NodeOutput(tuple(clips), shown, ui=told)


def told_of(clip: Clip) -> str:
    """How much of the video a clip covers, for people."""
    frames, _, height, width = clip.frames.shape
    if clip.is_image:
        return f"{clip.source}: an image, {width}x{height} pixels."
    covered = f"{frames} frames at {clip.fps:g} fps ({frames / clip.fps:.2g} s)"
    return f"{clip.source}: {covered}, {width}x{height} pixels."
