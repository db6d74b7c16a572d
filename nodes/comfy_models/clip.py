"""The core's text encoders as ComfyUI's CLIP.

In: a `TextEncoder`. Out: a `comfy.sd.CLIP` on ComfyUI's own text tower, so that loading, LoRAs,
hooks and weighted prompts work as with any other. For a prompt that fits, with no weights in it,
the conditioning is the core's `prompt_embeds`; a longer one is not cut, as the core does, but goes
on in further pieces, as is ComfyUI's way.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import comfy.clip_model
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import folder_paths
import torch
from open_clip.tokenizer import SimpleTokenizer

from ...motion_core.backbones.files.keys import clip_keys
from ...motion_core.backbones.files.loading import gather
from ...motion_core.backbones.text import TextEncoder


class CoreTokenizer:
    """open_clip's tokenizer with the interface of transformers' that ComfyUI uses."""

    def __init__(self, plain: SimpleTokenizer) -> None:
        self.plain = plain

    def from_pretrained(self, path: str, **options: Any) -> CoreTokenizer:
        """Itself: it needs no files."""
        return self

    def __call__(self, text: str) -> dict[str, list[int]]:
        """The token ids of a text between those of start and end."""
        start, end = self.plain.sot_token_id, self.plain.eot_token_id
        return {"input_ids": [start, *self.plain.encode(text), end]}

    def get_vocab(self) -> dict[str, int]:
        """Token ids by their text."""
        return dict(self.plain.encoder)

    def decode(self, token_ids: list[int], skip_special_tokens: bool = True) -> str:
        """The text of token ids."""
        special = self.plain.all_special_ids if skip_special_tokens else ()
        return self.plain.decode([token for token in token_ids if token not in special])


class _TextModel(comfy.clip_model.CLIPTextModel):
    """ComfyUI's text tower for a vocabulary of any size; its own has CLIP's."""

    def __init__(self, config: dict[str, Any], dtype: Any, device: Any, operations: Any) -> None:
        super().__init__(config, dtype, device, operations)
        size, width = config["vocab_size"], config["hidden_size"]
        self.set_input_embeddings(operations.Embedding(size, width, dtype=dtype, device=device))


def clip_from_text(
    text: TextEncoder, tower: str, dtype: torch.dtype | None = None
) -> comfy.sd.CLIP:
    """A CLIP with the encoder's weights.

    tower: the name that LoRA keys go by, "l" as in Stable Diffusion 1.5 or "h" as in OpenCLIP's.
    dtype: of the weights, None for what ComfyUI has for text encoders.
    """
    state = gather(text.model, clip_keys(text.model.state_dict()))
    # Projects the pooled output, which these models do not use, and is in no file of theirs.
    state["text_projection.weight"] = torch.eye(text.model.config.hidden_size)
    target = comfy.supported_models_base.ClipTarget(_tokenizer(text, tower), _tower(text, tower))
    return comfy.sd.CLIP(
        target,
        embedding_directory=folder_paths.get_folder_paths("embeddings"),
        parameters=sum(tensor.numel() for tensor in state.values()),
        state_dict=[state],
        model_options={} if dtype is None else {"dtype": dtype},
    )


def plain_tokenizer(clip: comfy.sd.CLIP, tower: str) -> SimpleTokenizer | None:
    """The core's tokenizer of a CLIP that `clip_from_text` made; None for another one's."""
    inner = getattr(getattr(clip.tokenizer, f"clip_{tower}", None), "tokenizer", None)
    return inner.plain if isinstance(inner, CoreTokenizer) else None


def _tokenizer(text: TextEncoder, tower: str) -> Any:
    inner = partial(
        comfy.sd1_clip.SDTokenizer,
        max_length=text.context_length,
        pad_token=text.pad_token,
        embedding_size=text.model.config.hidden_size,
        embedding_key=f"clip_{tower}",
        tokenizer_class=CoreTokenizer(text.tokenizer),
    )
    return partial(comfy.sd1_clip.SD1Tokenizer, clip_name=tower, tokenizer=inner)


def _tower(text: TextEncoder, tower: str) -> Any:
    tokens = {"start": text.tokenizer.sot_token_id, "end": text.tokenizer.eot_token_id}
    inner = partial(
        comfy.sd1_clip.SDClipModel,
        max_length=text.context_length,
        textmodel_json_config=_config(text),
        special_tokens={**tokens, "pad": text.pad_token},
        return_projected_pooled=False,
        model_class=_TextModel,
    )
    return partial(comfy.sd1_clip.SD1ClipModel, clip_name=tower, clip_model=inner)


def _config(text: TextEncoder) -> dict[str, Any]:
    own = text.model.config
    return {
        "vocab_size": own.vocab_size,
        "hidden_size": own.hidden_size,
        "intermediate_size": own.intermediate_size,
        "num_hidden_layers": own.num_hidden_layers,
        "num_attention_heads": own.num_attention_heads,
        "max_position_embeddings": own.max_position_embeddings,
        "hidden_act": own.hidden_act,
        "eos_token_id": text.tokenizer.eot_token_id,
    }
