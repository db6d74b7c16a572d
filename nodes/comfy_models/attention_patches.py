"""ComfyUI's attention patches at the spatial transformers of a diffusers UNet.

In: `transformer_options`, as ComfyUI gives them to a model and as a transformer hands them on in
its cross_attention_kwargs. Out: attention computed by ComfyUI's own function, with every patch that
nodes may have set: attn1_patch, attn2_patch and their output patches, and replacements (IPAdapter,
perturbed attention and the like). Source: BasicTransformerBlock in comfy/ldm/modules/attention.py
of ComfyUI 0.8.0 and 0.33.0.

Deviation: middle_patch (GLIGEN) is left out; there is none for this kind of network.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from comfy.ldm.modules.attention import optimized_attention
from diffusers.models.attention_processor import Attention
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor, nn

Options = dict[str, Any]


def use_patchable_attention(unet: nn.Module) -> None:
    """Gives the attention layers of all spatial transformers a `PatchableAttention`, for good."""
    for attention, kind, index in _attention_layers(unet):
        attention.set_processor(PatchableAttention(kind, index))  # type: ignore[arg-type]


class PatchableAttention:
    """A diffusers attention processor. kind: "attn1" (self) or "attn2" (cross). index: the block's
    in its transformer.
    """

    def __init__(self, kind: Literal["attn1", "attn2"], index: int) -> None:
        self.kind = kind
        self.index = index

    def __call__(
        self,
        attention: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        transformer_options: Options | None = None,
    ) -> Tensor:
        """hidden_states: (B, h·w, C). encoder_hidden_states: (B, L, D), None for self-attention.
        Returns (B, h·w, C).
        """
        assert attention_mask is None
        options = transformer_options or {}
        extra = self._extra_options(attention, options)
        patches = options.get("patches", {})
        query = hidden_states
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        value = context
        for patch in patches.get(f"{self.kind}_patch", ()):
            query, context, value = patch(query, context, value, extra)
        query, key = attention.to_q(query), attention.to_k(context)
        out = self._attend(query, key, attention.to_v(value), attention.heads, options, extra)
        for layer in attention.to_out:
            out = layer(out)
        for patch in patches.get(f"{self.kind}_output_patch", ()):
            out = patch(out, extra)
        return out

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        heads: int,
        options: Options,
        extra: Options,
    ) -> Tensor:
        """A replacement for this very block, else for all of this place, else plain attention."""
        replacements = options.get("patches_replace", {}).get(self.kind, {})
        place = options.get("block", ())
        for key_of_patch in ((*place, self.index), place):
            if key_of_patch in replacements:
                return replacements[key_of_patch](query, key, value, extra)
        return optimized_attention(query, key, value, heads, transformer_options=options)

    def _extra_options(self, attention: Attention, options: Options) -> Options:
        """What patches are told about the place that they are called at."""
        kept = {k: v for k, v in options.items() if k not in ("patches", "patches_replace")}
        dim_head = attention.inner_dim // attention.heads
        own = {"block_index": self.index, "n_heads": attention.heads, "dim_head": dim_head}
        return {**kept, **own, "attn_precision": None}


def _attention_layers(
    unet: nn.Module,
) -> Iterator[tuple[Attention, Literal["attn1", "attn2"], int]]:
    for module in unet.modules():
        if isinstance(module, Transformer2DModel):
            blocks: Any = module.transformer_blocks
            for index, block in enumerate(blocks):
                yield block.attn1, "attn1", index
                yield block.attn2, "attn2", index
