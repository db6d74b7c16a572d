"""Nodes: videos from the core's own sampler, and the noise prior for ComfyUI's."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import folder_paths
import torch
from comfy_api.latest import InputImpl, Types, io

from ..motion_core.bases import BASES
from ..motion_core.diffusion.settings import SampleSettings
from ..motion_core.settings import BASES_OWN, fields_by_name, from_mapping, require
from .finding import found_by
from .host.bridge import (
    NodeBar,
    computing_dtype,
    core_run,
    image_from_pixels,
    on_accelerator,
    pixels_from_image,
)
from .host.model_choices import model_file
from .sockets import (
    MotionAdapterSocket,
    MotionBase,
    MotionBaseSocket,
    MotionStack,
    adapters_to_apply,
)
from .version_0_1_0 import SAMPLED_LEFT_ALONE, sampled_then
from .widgets import ADVANCED, check_text, fault_of, refused, widget

if TYPE_CHECKING:
    from ..motion_core.adapter_files.own import AdapterInfo
    from ..motion_core.adapters.base import Adapter

CATEGORY = "motion/sample"
MAX_SEED = 2**63 - 1
_FIELDS = fields_by_name(SampleSettings)
DESCRIBE = "Describe what the video should show."


class MotionNoise(io.ComfyNode):
    """The noise prior for SamplerCustomAdvanced."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MotionNoise",
            display_name="Motion Noise",
            category=CATEGORY,
            **found_by("noise prior", "inverted noise", "ddim inversion"),
            description="Noise for SamplerCustomAdvanced that contains a share of the reference "
            "clip's inverted noise, so that the result follows its layout and motion more "
            "closely. The latent's images are the video's frames; their number and size must "
            "match the clip.",
            inputs=[
                MotionAdapterSocket.Input(
                    "motions",
                    tooltip="Source of the reference's noise: the first adapter that has it.",
                ),
                widget(_FIELDS["noise_prior"], default=0.3),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=MAX_SEED,
                    control_after_generate=True,
                    tooltip="For the fresh part of the noise. The same seed gives the same noise "
                    "as in Sample Motion Video, but not as in Random Noise.",
                ),
            ],
            outputs=[
                io.Noise.Output(
                    "noise",
                    display_name="noise",
                    tooltip="For the noise input of SamplerCustomAdvanced.",
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
            **found_by("motion sampler", "video sampler", "text to video", "motion transfer"),
            description="Generates a video with the papers' sampler (DDIM), on any base and with "
            "any adapters. To use ComfyUI's samplers, ControlNet and so on, use Apply Motion.",
            hidden=[io.Hidden.unique_id],
            inputs=[*_prompt_inputs(), *_motion_inputs()],
            outputs=[
                io.Image.Output(
                    "frames", display_name="frames", tooltip="The frames of the video, in order."
                ),
                io.Video.Output(
                    "video",
                    display_name="video",
                    tooltip="The video at the frame rate of the training clip, for Save Video.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        prompt: str | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        frames: int | None = None,
        width: int | None = None,
        height: int | None = None,
        adapter_end: float | None = None,
    ) -> bool | str:
        """In ComfyUI's place, which would refuse the zeros of version 0.1.0; and before anything is
        computed.
        """
        given = (steps, guidance_scale, frames, width, height, adapter_end)
        named = zip(SAMPLED_LEFT_ALONE, given, strict=True)
        numbers = refused(_FIELDS, {name: value or None for name, value in named})
        if numbers is not True:
            return numbers
        return fault_of(partial(check_text, "prompt", prompt, DESCRIBE))

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
            from .host.previews import previews_on
            from .prior_noise import inverted_of

            check_text("prompt", prompt, DESCRIBE)  # it may come from another node
            settings = _settings(base, motions, **sampling)
            _check_fit(base, motions)
            inverted = inverted_of(motions, settings.noise_prior)
            unet = base.backbone.network
            dtype = computing_dtype(sum(weight.numel() for weight in unet.parameters()))
            with on_accelerator(base.backbone, dtype, _needed(base, settings, dtype)):
                adapters = _with_look(base, adapters_to_apply(motions), look, look_encoder)
                bar = NodeBar(cls.hidden.unique_id)
                frames = generate(
                    base.backbone,
                    prompt,
                    adapters,
                    settings,
                    inverted,
                    on_step=bar,
                    on_foreseen=previews_on(bar, base.backbone),
                )
            images = image_from_pixels(frames)
            fps = sample_fps(base.defaults, _playing(motions))
            return io.NodeOutput(images, _video(images, fps))


def _settings(base: MotionBase, motions: MotionStack, **given: Any) -> SampleSettings:
    """What is left out is what suits; a number that is 0 where none can be is what ran then."""
    from ..motion_core.adapter_files.sample_defaults import sample_defaults

    infos = _playing(motions)
    then = sampled_then(base.defaults, infos)
    said = {n: then[n] if v == 0 and n in then else v for n, v in given.items() if v is not None}
    has_noise = any(motion.inverted is not None for motion in motions)
    usual = sample_defaults(base.defaults, infos, has_noise=has_noise, asked=said)
    settings = from_mapping(SampleSettings, {**usual, **said})
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
    from ..motion_core.diffusion.injected_image import with_image

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
        MotionBaseSocket.Input("base", tooltip="The base that generates the video."),
        io.String.Input(
            "prompt",
            default="",
            multiline=True,
            tooltip="What the video should show: the clip's motion in words, with a new subject.",
        ),
        _setting("negative_prompt"),
        _setting("seed", control_after_generate=True),
        *map(_setting, ("steps", "guidance_scale")),
        _setting("guidance_rescale", extra_dict=ADVANCED),
        *map(_setting, ("frames", "width", "height")),
    ]


def _setting(name: str, **options: Any) -> io.Input:
    """The default on a new node is that of a base of full size."""
    usual = next(base for base in BASES.values() if base.required).usual_settings()
    return widget(_FIELDS[name], default=getattr(usual, name), optional=True, **options)


def _motion_inputs() -> list[io.Input]:
    return [
        _setting("noise_prior"),
        _setting("adapter_end", extra_dict=ADVANCED),
        MotionAdapterSocket.Input(
            "motions",
            optional=True,
            tooltip="The adapters to apply; without any, the base is sampled alone.",
        ),
        io.Image.Input(
            "look",
            optional=True,
            tooltip="For MoTrans adapters: a reference image for the appearance. The paper does "
            "not use it when sampling.",
        ),
        io.Combo.Input(
            "look_encoder",
            options=[BASES_OWN, *folder_paths.get_filename_list("clip_vision")],
            default=BASES_OWN,
            optional=True,
            tooltip="Image encoder for the injected image: the one used in training, a CLIP "
            "ViT-H/14 file in models/clip_vision. Only the sample bases have their own.",
        ),
        _setting("few_steps", extra_dict=ADVANCED),  # last: workflows keep widgets by their places
    ]
