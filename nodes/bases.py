"""Nodes that give a base to train and sample on: from files, from a connected model, or shipped."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import folder_paths
from comfy_api.latest import InputImpl, io, ui

from ..motion_core.bases import BASES, PERSONALISED, base_defaults, load_base
from ..motion_core.errors import FormatError, SettingsError
from .finding import found_by
from .host.base_names import SAMPLE_MODULE
from .host.bridge import computing_dtype, core_run
from .host.folders import MOTION_MODULES, ZEROSCOPE
from .host.model_choices import (
    NONE,
    OWN,
    model_file,
    motion_module_names,
    optional_file,
)
from .host.model_choices import motion_module as motion_module_of
from .sockets import MotionBase, MotionBaseSocket

if TYPE_CHECKING:
    import comfy.sd
    from comfy.model_patcher import ModelPatcher

logger = logging.getLogger(__name__)

CATEGORY = "motion/bases"
STANDARD = "standard"
PERSONALISED_CHOICE = "personalised"

# Of the UNet, for ComfyUI's choice of a dtype before it is loaded.
ZEROSCOPE_PARAMETERS = 1_412_000_000

# A folder that holds one of these is a text-to-video model: diffusers' form, or ModelScope's.
_MODEL_FOLDERS = ("model_index.json", "text2video_pytorch_model.pth")
_MOTION_MODULE_TIP = (
    "AnimateDiff's motion module from models/animatediff_models: v1, v2 or v3. Adapters are "
    "trained on its layers."
)
_DOMAIN_ADAPTER_TIP = (
    "AnimateDiff v3's domain adapter from models/loras, merged into the image layers at full "
    "strength. It keeps the look of the module's training videos out of the motion."
)


class LoadAnimateDiffBase(io.ComfyNode):
    """A checkpoint and a motion module from files."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadAnimateDiffBase",
            display_name="Load AnimateDiff Base",
            category=CATEGORY,
            **found_by("animatediff", "load animatediff", "motion module", "motion model"),
            description=(
                "Loads a Stable Diffusion 1.5 checkpoint with an AnimateDiff motion module, for "
                "training and sampling. For a model with LoRAs, use AnimateDiff Base From Model "
                "instead."
            ),
            inputs=[
                io.Combo.Input(
                    "checkpoint",
                    options=folder_paths.get_filename_list("checkpoints"),
                    tooltip=(
                        "A full Stable Diffusion 1.5 checkpoint from models/checkpoints. "
                        "Adapters trained on it also work with other checkpoints."
                    ),
                ),
                _motion_module(folder_paths.get_filename_list(MOTION_MODULES)),
                _domain_adapter(),
                io.Combo.Input(
                    "vae",
                    options=[OWN, *_vae_files()],
                    default=OWN,
                    optional=True,
                    tooltip="The checkpoint's own VAE, or one from models/vae instead.",
                ),
            ],
            outputs=[_base_output()],
        )

    @classmethod
    def execute(
        cls, checkpoint: str, motion_module: str, domain_adapter: str = NONE, vae: str = OWN
    ) -> io.NodeOutput:
        with core_run():
            backbone = load_base(
                "animatediff",
                checkpoint=model_file("checkpoints", checkpoint),
                motion_module=model_file(MOTION_MODULES, motion_module),
                domain_adapter=optional_file("loras", domain_adapter),
                vae=optional_file("vae", vae),
            )
        files = [checkpoint, motion_module, domain_adapter, vae]
        name = f"animatediff ({', '.join(f for f in files if f not in (NONE, OWN))})"
        return io.NodeOutput(
            MotionBase(
                name=name,
                backbone=backbone,
                defaults=base_defaults("animatediff", motion_module),
            )
        )


class AnimateDiffBaseFromModel(io.ComfyNode):
    """Any Stable Diffusion 1.5 model of the graph, with its LoRAs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateDiffBaseFromModel",
            display_name="AnimateDiff Base From Model",
            category=CATEGORY,
            **found_by("animatediff", "motion module", "motion model"),
            description=(
                "Makes an AnimateDiff base from any Stable Diffusion 1.5 MODEL, CLIP and VAE in "
                "the graph: for example, a community checkpoint with its LoRAs and CLIP skip. "
                "The connected models are not changed."
            ),
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip=(
                        "A Stable Diffusion 1.5 MODEL. LoRAs from Load LoRA become part of the "
                        "base; hook LoRAs, IPAdapter, context windows and motion modules do not."
                    ),
                ),
                io.Clip.Input(
                    "clip",
                    tooltip="Stable Diffusion 1.5's CLIP, with LoRAs and CLIP Set Last Layer.",
                ),
                io.Vae.Input(
                    "vae",
                    tooltip="Stable Diffusion 1.5's VAE: 4 channels, 8 pixels per latent cell.",
                ),
                _motion_module(motion_module_names()),
                _domain_adapter(),
            ],
            outputs=[_base_output()],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        clip: comfy.sd.CLIP,
        vae: comfy.sd.VAE,
        motion_module: str,
        domain_adapter: str = NONE,
    ) -> io.NodeOutput:
        with core_run():
            from .comfy_models.from_model import base_from_model, weights_digest

            module, version = motion_module_of(motion_module)
            adapter = optional_file("loras", domain_adapter)
            backbone = base_from_model(model, clip, vae, module, adapter, version)
            digest = weights_digest(backbone)
            if motion_module == SAMPLE_MODULE:  # it fits the sample base's MODEL alone
                from ..motion_core.shape_world.base import IMAGE_ENCODER, LICENCE

                backbone.licence = LICENCE
                backbone.image_encoder = IMAGE_ENCODER
        base = backbone.version if backbone.version in BASES else "animatediff"
        defaults = base_defaults(base, motion_module)
        name = f"animatediff (MODEL {digest}, {motion_module})"
        given = MotionBase(name=name, backbone=backbone, defaults=defaults)
        warning = _scheduled_loras(model, clip)
        if warning is None:
            return io.NodeOutput(given)
        logger.warning(warning)
        return io.NodeOutput(given, ui=ui.PreviewText(warning))


class LoadZeroScope(io.ComfyNode):
    """ZeroScope or ModelScope, as a base and as ComfyUI's own objects."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadZeroScope",
            display_name="Load ZeroScope",
            category=CATEGORY,
            **found_by("modelscope", "text to video", "t2v"),
            description=(
                "Loads ZeroScope or ModelScope text-to-video: MODEL, CLIP and VAE for the "
                "KSampler (the empty latent's batch size is the number of frames), and the base "
                "for training. Weights are in half precision on a GPU, in float32 on a CPU."
            ),
            inputs=[
                io.Combo.Input(
                    "model",
                    options=_video_models(),
                    tooltip=(
                        "A diffusers or ModelScope folder from models/diffusers, or a file from "
                        "models/text2video or models/checkpoints."
                    ),
                ),
                io.Combo.Input(
                    "vae",
                    options=[OWN, *_vae_files()],
                    default=OWN,
                    optional=True,
                    tooltip=(
                        "The VAE in the folder or file, or one from models/vae if the file has "
                        "none or you want another. Stable Diffusion 1.5 VAEs fit."
                    ),
                ),
                io.Combo.Input(
                    "text_encoder",
                    options=[OWN, *folder_paths.get_filename_list("text_encoders")],
                    default=OWN,
                    optional=True,
                    tooltip=(
                        "The text encoder in the folder or file, or one from "
                        "models/text_encoders if the file has none: OpenCLIP ViT-H/14's text "
                        "tower."
                    ),
                ),
            ],
            outputs=_model_outputs(),
        )

    @classmethod
    def execute(cls, model: str, vae: str = OWN, text_encoder: str = OWN) -> io.NodeOutput:
        with core_run():
            backbone = load_base(
                "zeroscope",
                checkpoint=_video_model_path(model),
                vae=optional_file("vae", vae),
                text_encoder=optional_file("text_encoders", text_encoder),
                dtype=computing_dtype(ZEROSCOPE_PARAMETERS),
            )
            from ..motion_core.backbones.zeroscope import ZeroScope
            from .comfy_models.native import zeroscope_objects

            assert isinstance(backbone, ZeroScope)
            objects = zeroscope_objects(backbone)
        files = [model, vae, text_encoder]
        name = f"zeroscope ({', '.join(f for f in files if f != OWN)})"
        base = MotionBase(name=name, backbone=backbone, defaults=base_defaults("zeroscope"))
        return io.NodeOutput(*objects, base)


class SampleMotionBase(io.ComfyNode):
    """Shape world, which ships with the pack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SampleMotionBase",
            display_name="Sample Motion Base",
            category=CATEGORY,
            **found_by("example base", "demo", "test model"),
            description=(
                "The small base bundled with the pack: moving coloured shapes, 64x64 pixels. It "
                "trains and samples in minutes on a CPU, so you can try everything without "
                "downloads. Example prompt: 'a red circle moving right on a striped background'."
            ),
            inputs=[
                io.Combo.Input(
                    "base",
                    options=["animatediff", "zeroscope"],
                    default="animatediff",
                    tooltip=(
                        "animatediff: an image model with motion modules; its MODEL generates "
                        "single images unless Apply Motion to AnimateDiff is added. zeroscope: a "
                        "complete video model."
                    ),
                ),
                io.Combo.Input(
                    "checkpoint",
                    options=[STANDARD, PERSONALISED_CHOICE],
                    default=STANDARD,
                    tooltip=(
                        "The image checkpoint for animatediff. personalised stands in for a "
                        "community checkpoint: it has another style, to which you can apply "
                        "adapters trained on standard. zeroscope only has standard."
                    ),
                ),
            ],
            outputs=[
                *_model_outputs(),
                io.Video.Output(
                    "clip",
                    display_name="clip",
                    tooltip="A clip to train on, for Motion Clip: 16 frames of 'a red circle "
                    "zigzagging on a checkered background', a motion that the base does not know.",
                ),
            ],
        )

    @classmethod
    def execute(cls, base: str, checkpoint: str = STANDARD) -> io.NodeOutput:
        name = f"shape-world-{base}"
        other = checkpoint == PERSONALISED_CHOICE
        if other and base == "zeroscope":
            raise SettingsError(
                "checkpoint is 'personalised', which the zeroscope sample base does not have. "
                "Set checkpoint to 'standard', or base to 'animatediff'."
            )
        with core_run():
            backbone = load_base(name, checkpoint=PERSONALISED if other else None)
            from ..motion_core.shape_world.references import DEMO_CLIP
            from .comfy_models.native import sample_objects

            objects = sample_objects(backbone)
        shown = f"{name} ({checkpoint})" if other else name
        result = MotionBase(name=shown, backbone=backbone, defaults=base_defaults(name))
        return io.NodeOutput(*objects, result, InputImpl.VideoFromFile(str(DEMO_CLIP)))


def _scheduled_loras(model: ModelPatcher, clip: comfy.sd.CLIP) -> str | None:
    """What to tell of LoRAs that ComfyUI puts on by hooks while it samples; None without any."""
    named = {
        "MODEL": [model.hook_patches, model.forced_hooks],
        "CLIP": [clip.patcher.hook_patches, clip.patcher.forced_hooks, clip.apply_hooks_to_conds],
    }
    with_hooks = [name for name, hooks in named.items() if any(hooks)]
    if not with_hooks:
        return None
    return (
        f"The connected {' and '.join(with_hooks)} has hook LoRAs (Set CLIP Hooks), which are "
        "scheduled during sampling: the base is made without them. To train with a LoRA, add it "
        "with Load LoRA."
    )


def _motion_module(options: list[str]) -> io.Combo.Input:
    return io.Combo.Input("motion_module", options=options, tooltip=_MOTION_MODULE_TIP)


def _domain_adapter() -> io.Combo.Input:
    return io.Combo.Input(
        "domain_adapter",
        options=[NONE, *folder_paths.get_filename_list("loras")],
        default=NONE,
        optional=True,
        tooltip=_DOMAIN_ADAPTER_TIP,
    )


def _base_output() -> io.Output:
    return MotionBaseSocket.Output(
        display_name="base", tooltip="For Train Motion Adapter and Sample Motion Video."
    )


def _model_outputs() -> list[io.Output]:
    return [
        io.Model.Output(
            tooltip="For the samplers, and for the matching Apply Motion node, which applies "
            "adapters."
        ),
        io.Clip.Output(tooltip="For CLIP Text Encode."),
        io.Vae.Output(tooltip="For VAE Encode and VAE Decode."),
        _base_output(),
    ]


def _vae_files() -> list[str]:
    return folder_paths.get_filename_list("vae")


def _video_models() -> list[str]:
    """What may be ZeroScope: "diffusers/FOLDER", "text2video/FILE", "checkpoints/FILE"."""
    files = [
        f"{key}/{name}"
        for key in (ZEROSCOPE, "checkpoints")
        for name in folder_paths.get_filename_list(key)
    ]
    return [*sorted(f"diffusers/{name}" for name in _model_folders()), *files]


def _model_folders() -> dict[str, Path]:
    """Folders with a text-to-video or another diffusers model, by their names under
    models/diffusers.
    """
    found: dict[str, Path] = {}
    for place in folder_paths.get_folder_paths("diffusers"):
        for folder, inside, files in os.walk(place, followlinks=True):
            if any(name in files for name in _MODEL_FOLDERS):
                found.setdefault(Path(folder).relative_to(place).as_posix(), Path(folder))
                inside.clear()  # a model's own parts are no models
    return found


def _video_model_path(choice: str) -> Path:
    key, _, name = choice.partition("/")
    if key != "diffusers":
        return model_file(key, name)
    folder = _model_folders().get(name)
    if folder is None:
        raise FormatError(
            f"The folder {name} no longer exists in models/diffusers. Refresh the node and "
            "choose another."
        )
    return folder
