"""Where the temporal modules of a video UNet are, how they step aside for single frames, and what
adapters may name.

diffusers runs temporal modules on a single frame too, where they have nothing to attend to but
still change it. Here each of them is skipped when its call has `num_frames` = 1. The choice is made
from the call's own arguments, so that a checkpointed block that is recomputed in backward makes the
same choice again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from diffusers.models.resnet import TemporalConvLayer
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.transformers.transformer_temporal import (
    TransformerTemporalModel,
    TransformerTemporalModelOutput,
)
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import Tensor, nn

TEMPORAL_TRANSFORMERS = (AnimateDiffTransformer3D, TransformerTemporalModel)

_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_FEED_FORWARD = ("ff.net.0.proj", "ff.net.2")


class SkippingMotionModule(AnimateDiffTransformer3D):
    """A motion module that returns a single frame as it is."""

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Any = None,
        timestep: Any = None,
        class_labels: Any = None,
        num_frames: int = 1,
        cross_attention_kwargs: dict[str, Any] | None = None,
    ) -> Tensor:
        if num_frames == 1:
            return hidden_states
        return super().forward(
            hidden_states,
            encoder_hidden_states,
            timestep,
            class_labels,
            num_frames,
            cross_attention_kwargs,
        )


class OriginalMotionModule(SkippingMotionModule):
    """A motion module that normalises each frame by itself, as AnimateDiff's authors do.

    diffusers takes all frames into one group norm, as ModelScope does, so that their weights give
    other frames there (guoyww/AnimateDiff 0741d34, animatediff/models/motion_module.py,
    TemporalTransformer3DModel).
    """

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Any = None,
        timestep: Any = None,
        class_labels: Any = None,
        num_frames: int = 1,
        cross_attention_kwargs: dict[str, Any] | None = None,
    ) -> Tensor:
        if num_frames == 1:
            return hidden_states
        height, width = hidden_states.shape[-2:]
        tokens = self.norm(hidden_states).unflatten(0, (-1, num_frames)).permute(0, 3, 4, 1, 2)
        tokens = self.proj_in(tokens.flatten(0, 2))
        for block in self.transformer_blocks:
            tokens = block(tokens, cross_attention_kwargs=cross_attention_kwargs)
        moved = self.proj_out(tokens).unflatten(0, (-1, height, width)).permute(0, 3, 4, 1, 2)
        return moved.flatten(0, 1) + hidden_states


class SkippingTemporalTransformer(TransformerTemporalModel):
    """A temporal transformer of a UNet3D that returns a single frame as it is."""

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Any = None,
        timestep: Any = None,
        class_labels: Any = None,
        num_frames: int = 1,
        cross_attention_kwargs: dict[str, Any] | None = None,
        return_dict: bool = True,
    ) -> Any:
        if num_frames == 1:
            sample = hidden_states
            return TransformerTemporalModelOutput(sample=sample) if return_dict else (sample,)
        return super().forward(
            hidden_states,
            encoder_hidden_states,
            timestep,
            class_labels,
            num_frames,
            cross_attention_kwargs,
            return_dict,
        )


class SkippingTemporalConv(TemporalConvLayer):
    """A temporal convolution that returns a single frame as it is."""

    def forward(self, hidden_states: Tensor, num_frames: int = 1) -> Tensor:
        return hidden_states if num_frames == 1 else super().forward(hidden_states, num_frames)


_SKIPPING: dict[type[nn.Module], type[nn.Module]] = {
    AnimateDiffTransformer3D: SkippingMotionModule,
    TransformerTemporalModel: SkippingTemporalTransformer,
    TemporalConvLayer: SkippingTemporalConv,
}


def skip_single_frames(unet: nn.Module) -> None:
    """Makes every temporal module of `unet` skip single frames, for good; parameters and names stay
    as they are.

    The module's class is replaced, not its `forward`: hooks, deep copies and wrappers then work as
    on any module.
    """
    for module in unet.modules():
        skipping = _SKIPPING.get(type(module))
        if skipping is not None:
            module.__class__ = skipping


def normalise_as_original(unet: nn.Module) -> None:
    """Makes every motion module of `unet` an `OriginalMotionModule`, for good; see there.

    Deviation from diffusers: for v2's and v3's weights. `frame_norms` says what other versions do.
    """
    for module in unet.modules():
        if isinstance(module, AnimateDiffTransformer3D):
            module.__class__ = OriginalMotionModule


def spatial_linear_names(unet: nn.Module) -> list[str]:
    """attn1 and ff of the spatial transformers (MotionDirector's spatial sites), in module
    order.
    """
    return list(_linear_names(unet, (Transformer2DModel,), ("attn1",)))


def temporal_linear_names(unet: nn.Module) -> list[str]:
    """attn1, attn2 and ff of the temporal transformers (MotionDirector's temporal sites), in module
    order.
    """
    return list(_linear_names(unet, TEMPORAL_TRANSFORMERS, ("attn1", "attn2")))


def _linear_names(
    unet: nn.Module, transformers: tuple[type[nn.Module], ...], attentions: Iterable[str]
) -> Iterator[str]:
    layers = [f"{attention}.{layer}" for attention in attentions for layer in _ATTENTION]
    for name, module in unet.named_modules():
        if isinstance(module, transformers):
            blocks: nn.ModuleList = module.transformer_blocks  # type: ignore[assignment]
            for index in range(len(blocks)):
                yield from (
                    f"{name}.transformer_blocks.{index}.{layer}"
                    for layer in (*layers, *_FEED_FORWARD)
                )
