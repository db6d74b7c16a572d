"""Motions applied in ZeroScope, and in the sample base of its form.

In: the MODEL of Load ZeroScope or Sample Motion Base, and motions. Out: a MODEL for KSampler and
every custom sampler, with the frames of the video as its batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .apply import (
    CATEGORY,
    check_motions,
    clip_input,
    clip_with_verbs,
    end_percent_input,
    motion_outputs,
    scaled_adapters,
    strength_inputs,
)
from .finding import found_by
from .host.bridge import core_run
from .sockets import MotionAdapterSocket, MotionStack

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import CLIP


class ApplyMotionToZeroScope(io.ComfyNode):
    """ZeroScope's MODEL, with motions."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyMotionToZeroScope",
            display_name="Apply Motion to ZeroScope",
            category=CATEGORY,
            **found_by("zeroscope", "modelscope", "motion lora", "motion transfer"),
            description=(
                "Applies adapters to ZeroScope, for use with the regular samplers: LoRAs, "
                "embeddings and full weights trained on ZeroScope or on the small ZeroScope "
                "sample base. For videos longer than memory allows, add Context Windows (Manual)."
            ),
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="The MODEL from Load ZeroScope, or from Sample Motion Base with base "
                    "= zeroscope; its LoRAs and patches are kept.",
                ),
                MotionAdapterSocket.Input(
                    "adapters", tooltip="The adapters to apply; several are added up."
                ),
                *strength_inputs(),
                end_percent_input(),
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
        end_percent: float,
        clip: CLIP | None = None,
    ) -> io.NodeOutput:
        with core_run():
            from .comfy_models.adapter_hooks import AdapterHooks
            from .comfy_models.while_sampling import apply_while_sampling
            from .comfy_models.zeroscope import zeroscope_network

            check_motions(adapters, zeroscope_network(model))
            scaled = scaled_adapters(adapters, temporal_strength, spatial_strength)

            def prepare(unet: Any) -> list[AdapterHooks]:
                return [AdapterHooks(unet, scaled)]

            patched = model.clone()
            apply_while_sampling(patched, prepare, end_percent)
            return io.NodeOutput(patched, clip_with_verbs(clip, scaled))
