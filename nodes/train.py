"""Node: learns the motion of clips into an adapter file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import comfy.model_management as management
import folder_paths
from comfy_api.latest import io, ui
from comfy_execution.utils import get_executing_context

from ..motion_core.diffusion.settings import SampleSettings
from ..motion_core.errors import ClipError
from ..motion_core.methods import METHODS
from ..motion_core.methods.appearance import material_of
from ..motion_core.settings import fields_by_name, fields_of, require
from ..motion_core.training.settings import TrainSettings
from ..motion_core.training.suited import suited
from ..motion_core.training.trackers import TrackerSettings
from .finding import found_by
from .host.bridge import NodeBar, core_run, image_from_pixels
from .host.file_choices import checked_name
from .methods import USUAL, MethodSettingsSocket, mark, method_input, method_of
from .runs.choice import Resume
from .runs.settings import Given, LeftOut, MethodSettings, configured
from .runs.watch import resumed_run, watched_run
from .sockets import MotionAdapterSocket, MotionBase, MotionBaseSocket, MotionClipsSocket
from .version_0_1_0 import given_then, is_of_then, values_then, without_left_alone
from .widget_values import given
from .widgets import ADVANCED, fault_of, refused, widget

if TYPE_CHECKING:
    from ..motion_core.types import Clip
    from .runs.request import TrainingRequest
    from .runs.training import TrainedMotion

_FIELDS = fields_by_name(TrainSettings)
PRECISIONS = ("auto", *_FIELDS["precision"].choices)
_SAMPLE_FIELDS = fields_by_name(SampleSettings)
MAX_INVERSION = 1000
# Inputs that say how the samples of a training are made, by the setting that each one is.
SAMPLING = (
    ("sample_steps", "steps", "Of the samples of this training:"),
    ("sample_guidance", "guidance_scale", "Of the samples of this training:"),
)
# What each preset says of recomputing blocks in the backward pass.
MEMORY: Mapping[str, Mapping[str, bool]] = {
    "auto": {},
    "fast": {"checkpointing": False},
    "low": {"checkpointing": True, "keep_outputs": False},
    "balanced": {"checkpointing": True, "keep_outputs": True},
}


class TrainMotionAdapter(io.ComfyNode):
    """Trains and saves; a run that was cancelled goes on, one that is done is reused."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TrainMotionAdapter",
            display_name="Train Motion Adapter",
            category="motion/train",
            **found_by(
                "lora train",
                "train lora",
                "motion lora",
                "train video",
                "video lora",
                "animatediff lora",
                "motion transfer",
                *(method.title for method in METHODS.values()),
            ),
            description="Trains an adapter on the motion of your clips and saves it where the "
            "loaders find it. Cancel keeps the progress: queue again to resume. Identical "
            "settings reuse the finished file.",
            is_output_node=True,
            hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
            inputs=[*_main_inputs(), *_sample_inputs(), *_run_inputs()],
            outputs=[
                MotionAdapterSocket.Output(
                    "adapter",
                    display_name="adapter",
                    tooltip="The trained adapter, ready to apply.",
                ),
                io.String.Output(
                    "file_name",
                    display_name="file name",
                    tooltip="The adapter's name in the loaders' lists.",
                ),
                io.Image.Output(
                    "samples",
                    display_name="samples",
                    tooltip="Frames generated with the adapter from the sample prompt.",
                ),
                io.Custom("LOSS_MAP").Output(
                    "loss",
                    display_name="loss",
                    tooltip="The loss of every step, for ComfyUI's Plot Loss Graph.",
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, resume: Resume = "continue", **others: Any) -> float:
        """A new run is made each time that it is asked for."""
        return float("nan") if resume == "new" else 0.0

    @classmethod
    def validate_inputs(
        cls,
        steps: int | None = None,
        learning_rate: float | None = None,
        name: str | None = None,
        inversion_steps: int | None = None,
        objective: Any = None,
    ) -> bool | str:
        """In ComfyUI's place, which would refuse the zeros of version 0.1.0. objective: a menu with
        inputs of its own is given whether it is asked for or not.
        """
        numbers = refused(_FIELDS, {"steps": steps or None, "learning_rate": learning_rate or None})
        if numbers is not True:
            return numbers
        return fault_of(
            lambda: name is None or checked_name(name),
            lambda: inversion_steps is None or check_inversion(inversion_steps),
        )

    @classmethod
    def execute(cls, name: str = "motion", **choices: Any) -> io.NodeOutput:
        with core_run():
            # Imported here: it needs diffusers.
            from .runs.run_bar import RunBar
            from .runs.training import train_motion

            name = checked_name(name)
            context = get_executing_context()
            watch = partial(
                watched_run,
                node_id=cls.hidden.unique_id,
                prompt_id=context.prompt_id if context is not None else None,
                prompt=cls.hidden.prompt,
                extra_pnginfo=cls.hidden.extra_pnginfo,
                title=name,
            )
            run_id = resumed_run(cls.hidden.prompt, cls.hidden.unique_id)
            of_then = is_of_then({**choices, "name": name})
            request = _request(name=name, resume_run=run_id, of_then=of_then, **choices)
            bar = RunBar(request.scale(), NodeBar(cls.hidden.unique_id))
            trained = train_motion(request, watch, bar)
            return io.NodeOutput(
                (trained.motion,),
                trained.file_name,
                image_from_pixels(trained.samples),
                {"loss": list(trained.losses)},
                ui=_told(trained),
            )


def _told(trained: TrainedMotion) -> dict[str, Any]:
    """For the prompt's entry in /history: what was written, and where it can be fetched. Not as
    "images", which ComfyUI would show once more below the panel.
    """
    adapter = {
        "name": trained.file_name,
        "path": str(trained.file),
        "steps": trained.motion.info.steps,
        "run": trained.run,
    }
    output = Path(folder_paths.get_output_directory())
    samples = [
        ui.SavedResult(file.name, file.parent.relative_to(output).as_posix(), io.FolderType.output)
        for file in trained.videos
    ]
    return {"adapters": [adapter], "samples": samples}


def _request(
    *,
    base: MotionBase,
    clips: Sequence[Clip],
    objective: Mapping[str, Any],
    name: str,
    resume: Resume = "continue",
    resume_run: str,
    sample_prompt: str = "",
    sample_steps: int | None = None,
    sample_guidance: float | None = None,
    inversion_steps: int | None = None,
    log_to: str = "none",
    advanced: MethodSettings | None = None,
    of_then: bool = False,
    **training: Any,
) -> TrainingRequest:
    from .runs.request import TrainingRequest

    if not clips:
        raise ClipError("No clips to train on. Connect Motion Clip.")
    asked = _given(objective, training, advanced, of_then)
    usual = _left_out(base, asked, clips, of_then)
    method, settings = configured(asked, usual)
    sampling = {"steps": sample_steps, "guidance_scale": sample_guidance}
    return TrainingRequest(
        base=base,
        clips=clips,
        method=method,
        settings=settings,
        name=name,
        resume=resume,
        resume_run=resume_run,
        sample_prompts=_prompts(sample_prompt, several=not of_then),
        sampling={**usual.sample, **{n: v for n, v in sampling.items() if v is not None}},
        sampled_its_way=usual.sampled_its_way,
        inversion_steps=usual.inversion_steps if inversion_steps is None else inversion_steps,
        log_to=log_to,
    )


def _given(
    objective: Mapping[str, Any],
    training: Mapping[str, Any],
    advanced: MethodSettings | None,
    of_then: bool,
) -> Given:
    """What stands on the node. of_then: it is read as version 0.1.0 did."""
    method = method_of(objective)
    fields = fields_of(METHODS[method].Settings)
    settings = (
        given_then("settings", method, fields, objective) if of_then else given(fields, objective)
    )
    return Given(method=method, settings=settings, train=_asked(**training), advanced=advanced)


def _left_out(base: MotionBase, asked: Given, clips: Sequence[Clip], of_then: bool) -> LeftOut:
    if of_then:
        return values_then(asked.method, base.defaults)
    material = material_of(clips, _frames(clips))
    return suited(METHODS[asked.method], base.defaults, material, asked.chosen, asked.trained)


def _prompts(text: str, *, several: bool) -> list[str]:
    """One in each line; in version 0.1.0 all lines were one prompt."""
    lines = text.splitlines() if several else [text]
    return [line.strip() for line in lines if line.strip()]


def _frames(clips: Sequence[Clip]) -> int | None:
    """Of the first video."""
    return next((len(clip.frames) for clip in clips if not clip.is_image), None)


def _asked(
    *, precision: str = "auto", memory: str = "auto", exactly: bool = True, **numbers: Any
) -> dict[str, object]:
    """What the node's own widgets ask of `TrainSettings`."""
    asked = without_left_alone(numbers)
    asked["precision"] = usual_precision() if precision == "auto" else precision
    return {**asked, **MEMORY[memory]}


def check_inversion(steps: int) -> None:
    """Raises SettingsError for a number of steps that no inversion has."""
    fits = steps == 0 or 2 <= steps <= MAX_INVERSION
    require(fits, "inversion_steps", steps, f"2 to {MAX_INVERSION}, or 0 for no noise file")


def usual_precision() -> str:
    """What "auto" is here."""
    device = management.get_torch_device()
    if device.type != "cuda":
        return "fp32"
    return "bf16" if management.should_use_bf16(device) else "fp16"


def _setting(name: str, **options: Any) -> io.Input:
    """The default on a new node is what suits a base of full size and one video."""
    return widget(_FIELDS[name], default=USUAL.train[name], optional=True, **options)


def _main_inputs() -> list[io.Input]:
    return [
        MotionBaseSocket.Input(
            "base", tooltip="The base to train on; the adapter works with bases of the same family."
        ),
        MotionClipsSocket.Input(
            "clips", tooltip="The clips to train on: one clip, or several that share a motion."
        ),
        method_input(),
        _setting("steps"),
        _setting("learning_rate"),
        # Else the page draws another seed after every queueing, and nothing is ever reused.
        _setting("seed", control_after_generate=False),
        io.Combo.Input(
            "precision",
            options=list(PRECISIONS),
            default="auto",
            optional=True,
            tooltip=f"{_FIELDS['precision'].help('')} auto: bf16 or fp16 on a GPU, fp32 on a CPU.",
        ),
        io.Combo.Input(
            "memory",
            options=list(MEMORY),
            default="auto",
            optional=True,
            tooltip="fast keeps everything the backward pass needs, at several times the memory. "
            "low recomputes it, for about a third more time. balanced recomputes what is cheap. "
            "auto: balanced, but fast for small bases.",
        ),
    ]


def _sample_inputs() -> list[io.Input]:
    return [
        io.String.Input(
            "sample_prompt",
            default="",
            optional=True,
            multiline=True,
            tooltip="What the samples should show: the same motion with another subject. Each "
            "line is a prompt of its own, and a sample has a video of each. If empty, the first "
            "clip's prompt is used.",
        ),
        _setting("sample_every"),
        _setting("save_every", extra_dict=ADVANCED),
        io.Int.Input(
            "inversion_steps",
            default=USUAL.inversion_steps,
            optional=True,
            extra_dict=ADVANCED,
            min=0,
            max=MAX_INVERSION,
            tooltip="Steps for inverting the clip's noise after training, for the noise prior in "
            "Motion Noise and Sample Motion Video; 0 turns it off, otherwise at least 2.",
        ),
    ]


def _of_samples(name: str, setting: str, told: str) -> io.Input:
    return widget(
        replace(_SAMPLE_FIELDS[setting], name=name),
        default=USUAL.sample[setting],
        optional=True,
        extra_dict=ADVANCED,
        tooltip=f"{told} {_SAMPLE_FIELDS[setting].help('')}",
    )


def _run_inputs() -> list[io.Input]:
    return [
        io.String.Input(
            "name",
            default="motion",
            optional=True,
            tooltip="The adapter's file name in the loaders' lists. Files from other runs, or "
            "from this run before it was resumed, are never replaced: the new file gets a number.",
        ),
        io.Combo.Input(
            "resume",
            options=["continue", "new", "reuse"],
            default="continue",
            optional=True,
            tooltip="What to do with an earlier run of the same name and settings. continue: "
            "resume where it stopped, or reuse its file if it is finished. new: train from the "
            "start. reuse: like continue, but also reuse the file of a run that was stopped "
            "early.",
        ),
        mark(),
        *(_of_samples(*one) for one in SAMPLING),
        widget(fields_by_name(TrackerSettings)["log_to"], optional=True, extra_dict=ADVANCED),
        MethodSettingsSocket.Input(
            "advanced",
            optional=True,
            tooltip="All other settings, from the settings node of the chosen method.",
        ),
    ]
