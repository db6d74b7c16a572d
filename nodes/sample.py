"""Nodes: videos from the core's own sampler, and the noise prior for ComfyUI's."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import folder_paths
import torch
from comfy_api.latest import InputImpl, Types, io

from ..motion_core.diffusion.settings import SampleSettings
from ..motion_core.errors import SettingsError
from ..motion_core.settings import BASES_OWN, fields_by_name, from_mapping, require
from .host.bridge import (
    computing_dtype,
    core_run,
    image_from_pixels,
    on_accelerator,
    pixels_from_image,
    steps_shown,
)
from .host.model_choices import model_file
from .sockets import (
    MotionAdapterSocket,
    MotionBase,
    MotionBaseSocket,
    MotionStack,
    adapters_to_apply,
)
from .widgets import widget

if TYPE_CHECKING:
    from ..motion_core.adapter_files.own import AdapterInfo
    from ..motion_core.adapters.base import Adapter

CATEGORY = "motion/sample"
MAX_SEED = 2**63 - 1
_FIELDS = fields_by_name(SampleSettings)


class MotionNoise(io.ComfyNode):
    """The noise prior for SamplerCustomAdvanced."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MotionNoise",
            display_name="Motion Noise",
            category=CATEGORY,
            description="Noise for SamplerCustomAdvanced that holds a share of the reference "
            "clip's own noise, so that the layout and the course of its motion are kept closer. "
            "The latent's images are the video's frames; number and size must be the clip's.",
            inputs=[
                MotionAdapterSocket.Input(
                    "motions",
                    tooltip="Where the reference's noise comes from: the first motion that has it.",
                ),
                widget(_FIELDS["noise_prior"], default=0.3),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=MAX_SEED,
                    control_after_generate=True,
                    tooltip="Of the fresh part of the noise. For the same seed it is Sample Motion "
                    "Video's, which is not Random Noise's.",
                ),
            ],
            outputs=[
                io.Noise.Output(
                    "noise", display_name="noise", tooltip="For SamplerCustomAdvanced's noise."
                )
            ],
        )

    @classmethod
    def execute(cls, motions: MotionStack, noise_prior: float, seed: int) -> io.NodeOutput:
        with core_run():
            from .prior_noise import PriorNoise, inverted_of

            inverted = inverted_of(motions, noise_prior)
            return io.NodeOutput(PriorNoise(seed, noise_prior, inverted))


class SampleMotionVideo(io.ComfyNode):
    """The core's sampler on any base."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SampleMotionVideo",
            display_name="Sample Motion Video",
            category=CATEGORY,
            description="Makes a video with the sampler of the papers (DDIM), on any base and with "
            "any motions. What is left at 0 is as the motion was trained, else as the base is "
            "usually sampled. For ComfyUI's samplers, ControlNet and the rest, use Apply Motion.",
            hidden=[io.Hidden.unique_id],
            inputs=[*_prompt_inputs(), *_size_inputs(), *_motion_inputs()],
            outputs=[
                io.Image.Output(
                    "frames", display_name="frames", tooltip="The video's frames, in order."
                ),
                io.Video.Output(
                    "video",
                    display_name="video",
                    tooltip="The same at the rate of the motion's clip, for Save Video.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        base: MotionBase,
        prompt: str,
        motions: MotionStack = (),
        look: torch.Tensor | None = None,
        look_encoder: str = BASES_OWN,
        **sampling: Any,
    ) -> io.NodeOutput:
        with core_run():
            from ..motion_core.adapter_files.sample_defaults import sample_fps
            from ..motion_core.diffusion.generate import generate
            from .prior_noise import inverted_of

            if not prompt.strip():
                raise SettingsError("prompt is empty. Say what the video shall show.")
            settings = _settings(base, motions, **sampling)
            _check_fit(base, motions)
            inverted = inverted_of(motions, settings.noise_prior)
            unet = base.backbone.network
            dtype = computing_dtype(sum(weight.numel() for weight in unet.parameters()))
            with on_accelerator(base.backbone, dtype, _needed(base, settings, dtype)):
                adapters = _with_look(base, adapters_to_apply(motions), look, look_encoder)
                on_step = steps_shown(cls.hidden.unique_id)
                frames = generate(base.backbone, prompt, adapters, settings, inverted, on_step)
            images = image_from_pixels(frames)
            fps = sample_fps(base.defaults, _playing(motions))
            return io.NodeOutput(images, _video(images, fps))


def _settings(
    base: MotionBase, motions: MotionStack, *, seed: int, negative_prompt: str, **given: float
) -> SampleSettings:
    """0 stands for the default, except where it says how much of something there is."""
    from ..motion_core.adapter_files.sample_defaults import sample_defaults

    amounts = {name: given.pop(name) for name in ("noise_prior", "guidance_rescale")}
    said = {name: value for name, value in given.items() if value}
    settings = from_mapping(
        SampleSettings,
        {
            **sample_defaults(base.defaults, _playing(motions)),
            **said,
            **amounts,
            "seed": seed,
            "negative_prompt": negative_prompt,
        },
    )
    total = base.backbone.schedule.total
    require(settings.steps <= total, "steps", settings.steps, f"at most {total}")
    return settings


def _playing(motions: MotionStack) -> list[AdapterInfo]:
    """Of the motions that are not at strength 0: size, length and rate are theirs."""
    return [motion.info for motion in motions if motion.strength != 0.0]


def _check_fit(base: MotionBase, motions: MotionStack) -> None:
    from ..motion_core.adapter_files.own import check_fits

    for motion in motions:
        check_fits(motion.info, base.backbone)


def _with_look(
    base: MotionBase,
    adapters: list[tuple[Adapter, float]],
    look: torch.Tensor | None,
    encoder: str,
) -> list[tuple[Adapter, float]]:
    """MoTrans's injectors get the image, if there is one."""
    if look is None:
        return adapters
    from ..motion_core.methods.motrans.injected_image import with_image

    path = None if encoder == BASES_OWN else str(model_file("clip_vision", encoder))
    return with_image(adapters, pixels_from_image(look), path, base.backbone, "the look")


def _needed(base: MotionBase, settings: SampleSettings, dtype: torch.dtype) -> int:
    """Bytes of a step beside the weights: both branches of guidance at once."""
    from ..motion_core.backbones.base import latent_shape

    _, _, *cells = latent_shape(base.backbone, settings.frames, settings.height, settings.width)
    return base.backbone.sampling_bytes(2 * math.prod(cells), dtype)


def _video(images: torch.Tensor, fps: float) -> Any:
    rate = Fraction(fps).limit_denominator(1000)
    return InputImpl.VideoFromComponents(Types.VideoComponents(images=images, frame_rate=rate))


def _prompt_inputs() -> list[io.Input]:
    return [
        MotionBaseSocket.Input("base", tooltip="What samples the video."),
        io.String.Input(
            "prompt",
            default="",
            multiline=True,
            tooltip="What the video shows: the clip's motion in words, with a new subject.",
        ),
        widget(_FIELDS["negative_prompt"]),
        widget(_FIELDS["seed"], control_after_generate=True),
        widget(
            _FIELDS["steps"],
            unset="is the base's usual number, 25 for AnimateDiff and 30 for ZeroScope",
        ),
        widget(
            _FIELDS["guidance_scale"],
            unset="is the base's usual scale, 7.5 for AnimateDiff and 12 for ZeroScope",
        ),
        widget(_FIELDS["guidance_rescale"]),
    ]


def _size_inputs() -> list[io.Input]:
    return [
        widget(_FIELDS[name], unset="is the trained clip's, else the base's usual one")
        for name in ("frames", "width", "height")
    ]


def _motion_inputs() -> list[io.Input]:
    return [
        widget(_FIELDS["noise_prior"]),
        widget(_FIELDS["adapter_end"], unset="is the base's usual share"),
        MotionAdapterSocket.Input(
            "motions", optional=True, tooltip="What moves; without any, the base alone samples."
        ),
        io.Image.Input(
            "look",
            optional=True,
            tooltip="For motions of MoTrans: an image whose looks are told to the motion layers. "
            "The paper leaves it out.",
        ),
        io.Combo.Input(
            "look_encoder",
            options=[BASES_OWN, *folder_paths.get_filename_list("clip_vision")],
            default=BASES_OWN,
            optional=True,
            tooltip="What sees the look: the training's image_encoder, a CLIP ViT-H/14 file in "
            "models/clip_vision. Only the sample bases have one of their own.",
        ),
    ]
