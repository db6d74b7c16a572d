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
            description=(
                "Plays motions in ZeroScope, in the ordinary samplers: LoRAs, embeddings and whole "
                "weights that were trained on ZeroScope, or on the sample base of its form. For "
                "videos that are longer than memory allows add Context Windows (Manual)."
            ),
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="The MODEL of Load ZeroScope, or of Sample Motion Base with base = "
                    "zeroscope; LoRAs and patches on it stay.",
                ),
                MotionAdapterSocket.Input(
                    "adapters", tooltip="The motions to play; several add up."
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
