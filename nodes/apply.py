"""Motions applied in AnimateDiff: by this pack's own motion modules, or AnimateDiff-Evolved's.

In: a MODEL, a motion module or a MODEL that has one, and motions. Out: a MODEL for KSampler and
every custom sampler, with the frames of the video as its batch.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from ..motion_core.bases import base_defaults
from ..motion_core.errors import AdapterError
from .finding import found_by
from .host.bridge import core_run
from .host.model_choices import SAMPLE_MODULE, motion_module_names
from .host.model_choices import motion_module as motion_module_of
from .sockets import MotionAdapterSocket, MotionStack, adapters_to_apply
from .widgets import ADVANCED

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import CLIP

    from ..motion_core.adapter_files.own import Versioned
    from ..motion_core.adapters.base import Adapter
    from ..motion_core.backbones.files.motion_modules import MotionModules
    from .comfy_models.schedule import Betas

logger = logging.getLogger(__name__)

CATEGORY = "motion/apply"


def strength_inputs() -> list[io.Input]:
    """temporal_strength and spatial_strength, of every node that applies motions."""
    shared: dict[str, Any] = {"default": 1.0, "min": -2.0, "max": 3.0, "step": 0.05}
    return [
        io.Float.Input(
            "temporal_strength",
            **shared,
            tooltip="Multiplies the strength of everything that affects motion: 0 turns it off, "
            "1 is as trained, higher values exaggerate.",
        ),
        io.Float.Input(
            "spatial_strength",
            **shared,
            tooltip="Multiplies the strength of everything that affects appearance; 0 turns it "
            "off. Has an effect only if an adapter applies its appearance.",
        ),
    ]


def end_percent_input() -> io.Input:
    """The share of the sampling in which motions take part."""
    return io.Float.Input(
        "end_percent",
        default=1.0,
        min=0.05,
        max=1.0,
        step=0.05,
        tooltip="Share of the sampling, from the start, during which adapters are applied. "
        "Motion is decided early; below 1, the last steps use the base alone, which preserves "
        "its appearance. 0.7 suits the sample base.",
    )


def clip_input() -> io.Input:
    """For motions that change how a verb is understood."""
    return io.Clip.Input(
        "clip",
        optional=True,
        tooltip="Only for MoTrans, whose motion is tied to the verb in the prompt. Encode the "
        "prompt with the CLIP output of this node, the negative prompt with the original CLIP.",
    )


def motion_outputs() -> list[io.Output]:
    return [
        io.Model.Output(
            tooltip="For any sampler; the latent's batch size is the number of frames."
        ),
        io.Clip.Output(tooltip="The input CLIP, with MoTrans's addition to verbs."),
    ]


class ApplyMotionToAnimateDiff(io.ComfyNode):
    """Any Stable Diffusion 1.5 MODEL, made to move."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyMotionToAnimateDiff",
            display_name="Apply Motion to AnimateDiff",
            category=CATEGORY,
            **found_by(
                "animatediff", "apply animatediff", "motion lora", "motion transfer", "apply lora"
            ),
            description="Adds an AnimateDiff motion module to a Stable Diffusion 1.5 MODEL and "
            "applies motion adapters, for use with the regular samplers. LoRAs, ControlNet and "
            "IPAdapter keep working; for videos longer than the motion module's 16 to 32 frames, "
            "add Context Windows (Manual).",
            inputs=[
                io.Model.Input(
                    "model", tooltip="A Stable Diffusion 1.5 checkpoint, with or without LoRAs."
                ),
                io.Combo.Input(
                    "motion_module",
                    options=motion_module_names(),
                    tooltip="From models/animatediff_models: AnimateDiff v1, v2 or v3. Adapters "
                    "work best with the motion module they were trained on.",
                ),
                MotionAdapterSocket.Input(
                    "adapters",
                    optional=True,
                    tooltip="The adapters to apply. Without any, the motion module chooses the "
                    "motion.",
                ),
                *strength_inputs(),
                end_percent_input(),
                io.Combo.Input(
                    "beta_schedule",
                    options=["auto", "linear", "scaled_linear", "unchanged"],
                    default="auto",
                    extra_dict=ADVANCED,
                    tooltip="The noise schedule. auto: the one used in training, linear for "
                    "AnimateDiff (ComfyUI's sqrt_linear), with zero terminal SNR if the MODEL "
                    "has it, and with LCM's timesteps for AnimateLCM or a MODEL from "
                    "ModelSamplingDiscrete (lcm). scaled_linear: Stable Diffusion's, with more "
                    "contrast. unchanged: the MODEL's own.",
                ),
                clip_input(),
            ],
            outputs=motion_outputs(),
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        motion_module: str,
        temporal_strength: float,
        spatial_strength: float,
        end_percent: float,
        beta_schedule: str,
        adapters: MotionStack = (),
        clip: CLIP | None = None,
    ) -> io.NodeOutput:
        with core_run():
            from .comfy_models.animatediff import motion_network, with_motion_modules

            _refuse_sd2(model)
            motion = _load(motion_module, model)
            patched = with_motion_modules(model, motion)
            _set_schedule(patched, motion_module, beta_schedule)
            check_motions(adapters, motion)
            scaled = scaled_adapters(adapters, temporal_strength, spatial_strength)
            _apply(patched, motion_network(patched), scaled, end_percent)
            return io.NodeOutput(patched, clip_with_verbs(clip, scaled))


class ApplyMotionToAnimateDiffEvolved(io.ComfyNode):
    """A MODEL of AnimateDiff-Evolved, with motions."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyMotionToAnimateDiffEvolved",
            display_name="Apply Motion to AnimateDiff-Evolved",
            category=CATEGORY,
            **found_by("animatediff evolved", "ade", "motion lora", "motion transfer"),
            description="Applies adapters to a MODEL from AnimateDiff-Evolved, including those "
            "that its own motion LoRA loader cannot read: embeddings and full weights.",
            inputs=[
                io.Model.Input(
                    "model", tooltip="The MODEL from Use Evolved Sampling, or from a node after it."
                ),
                MotionAdapterSocket.Input("adapters", tooltip="The adapters to apply."),
                *strength_inputs(),
                clip_input(),
            ],
            outputs=motion_outputs(),
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        adapters: MotionStack,
        temporal_strength: float,
        spatial_strength: float,
        clip: CLIP | None = None,
    ) -> io.NodeOutput:
        with core_run():
            from .comfy_models.evolved import evolved_modules, with_evolved_motions

            check_motions(adapters, evolved_modules(model))
            scaled = scaled_adapters(adapters, temporal_strength, spatial_strength)
            patched = with_evolved_motions(model, of_scope(scaled, "temporal"))
            _apply(patched, None, scaled, 1.0)
            return io.NodeOutput(patched, clip_with_verbs(clip, scaled))


def scaled_adapters(
    stack: MotionStack, temporal: float, spatial: float
) -> list[tuple[Adapter, float]]:
    """The adapters that are applied, by strengths; those of strength 0 are left out."""
    scales = {"temporal": temporal, "spatial": spatial}
    scaled = [(adapter, s * scales[adapter.scope]) for adapter, s in adapters_to_apply(stack)]
    return [(adapter, strength) for adapter, strength in scaled if strength != 0.0]


def of_scope(adapters: Sequence[tuple[Adapter, float]], scope: str) -> list[tuple[Adapter, float]]:
    """Those of one scope, "temporal" or "spatial"."""
    return [(adapter, strength) for adapter, strength in adapters if adapter.scope == scope]


def _refuse_sd2(model: ModelPatcher) -> None:
    """Its UNet has the widths of Stable Diffusion 1.5's, so that motion modules would go in."""
    from ..motion_core.backbones.files.lora_networks import SD2_PROMPT_WIDTH

    width = model.model.model_config.unet_config.get("context_dim")
    if width == SD2_PROMPT_WIDTH:
        raise AdapterError(
            f"The MODEL is Stable Diffusion 2 (its prompts are {width} wide, not 768); "
            "AnimateDiff's motion modules only work with Stable Diffusion 1.5 checkpoints. Load "
            "one of these."
        )


def _load(choice: str, model: ModelPatcher) -> MotionModules:
    from ..motion_core.backbones.files.motion_modules import load_motion_modules
    from .comfy_models.animatediff import norm_groups, weight_dtype

    path, version = motion_module_of(choice)
    return load_motion_modules(path, version, norm_groups(model), weight_dtype(model))


def _set_schedule(model: ModelPatcher, motion_module: str, beta_schedule: str) -> None:
    from ..motion_core.shape_world.networks import build_scheduler
    from .comfy_models.animatediff import set_schedule
    from .comfy_models.schedule import is_lcm, scheduler_with

    if beta_schedule == "unchanged":
        return
    lcm = is_lcm(model) or base_defaults("animatediff", motion_module).few_steps == "lcm"
    if beta_schedule == "auto" and motion_module == SAMPLE_MODULE:
        set_schedule(model, build_scheduler("linear"), lcm=lcm)
        return
    named: dict[str, Betas] = {"linear": "linear", "scaled_linear": "scaled_linear"}
    set_schedule(model, scheduler_with(model, named.get(beta_schedule)), lcm=lcm)


def check_motions(stack: MotionStack, base: Versioned) -> None:
    from ..motion_core.adapter_files.own import check_fits

    for motion in stack:
        try:
            check_fits(motion.info, base)
        except AdapterError as error:
            raise AdapterError(f"{motion.name}: {error}") from error


def _apply(
    model: ModelPatcher,
    motion_network: Any,
    adapters: Sequence[tuple[Adapter, float]],
    end_percent: float,
) -> None:
    """motion_network: where temporal adapters are applied; None where that has been seen to."""
    from .comfy_models.adapter_hooks import AdapterHooks
    from .comfy_models.spatial import spatial_hooks
    from .comfy_models.while_sampling import apply_while_sampling

    temporal, spatial = (of_scope(adapters, scope) for scope in ("temporal", "spatial"))

    def prepare(unet: Any) -> list[AdapterHooks]:
        hooks = [spatial_hooks(unet, spatial)] if spatial else []
        return [AdapterHooks(motion_network, temporal), *hooks] if motion_network else hooks

    apply_while_sampling(model, prepare, end_percent)


def clip_with_verbs(clip: CLIP | None, adapters: Sequence[tuple[Adapter, float]]) -> CLIP | None:
    from .comfy_models.verb_prompts import with_verbs

    verbs = [(adapter, s) for adapter, s in adapters if adapter.kind == "verb"]
    if not verbs:
        return clip
    if clip is None:
        logger.warning(
            "A MoTrans adapter changes the verb in the prompt, and no CLIP is connected. Connect "
            "the CLIP here, and encode the prompt with this node's CLIP output."
        )
        return None
    return with_verbs(clip, verbs)
