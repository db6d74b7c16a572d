from typing import Any

import torch
from torch import Tensor

from .model_patcher import ModelPatcher

class CLIP:
    cond_stage_model: Any
    patcher: ModelPatcher
    tokenizer: Any
    layer_idx: int | None
    apply_hooks_to_conds: Any
    def __init__(
        self,
        target: Any = None,
        embedding_directory: Any = None,
        no_init: bool = False,
        tokenizer_data: dict[str, Any] = ...,
        parameters: int = 0,
        state_dict: list[dict[str, Tensor]] = ...,
        model_options: dict[str, Any] = ...,
    ) -> None: ...
    def clone(self) -> CLIP: ...
    def clip_layer(self, layer_idx: int) -> None: ...
    def tokenize(self, text: str, return_word_ids: bool = False) -> Any: ...
    def encode_from_tokens(
        self, tokens: Any, return_pooled: bool = False, return_dict: bool = False
    ) -> Any: ...
    def load_sd(self, sd: dict[str, Tensor], full_model: bool = False) -> Any: ...

class VAE:
    first_stage_model: Any
    patcher: ModelPatcher
    vae_dtype: torch.dtype
    size: int | None
    device: torch.device
    memory_used_encode: Any
    memory_used_decode: Any
    def __init__(
        self,
        sd: dict[str, Tensor] | None = None,
        device: torch.device | None = None,
        config: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None: ...
    def get_sd(self) -> dict[str, Tensor]: ...
    def decode(self, samples_in: Tensor) -> Tensor: ...
    def encode(self, pixel_samples: Tensor) -> Tensor: ...
