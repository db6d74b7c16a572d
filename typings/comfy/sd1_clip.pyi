from typing import Any

import torch
from torch import nn

class SDTokenizer:
    def __init__(
        self,
        tokenizer_path: str | None = None,
        max_length: int = 77,
        pad_with_end: bool = True,
        embedding_directory: Any = None,
        embedding_size: int = 768,
        embedding_key: str = "clip_l",
        tokenizer_class: Any = ...,
        pad_token: int | None = None,
        tokenizer_data: dict[str, Any] = ...,
    ) -> None: ...

class SD1Tokenizer:
    def __init__(
        self,
        embedding_directory: Any = None,
        tokenizer_data: dict[str, Any] = ...,
        clip_name: str = "l",
        tokenizer: Any = ...,
    ) -> None: ...

class SDClipModel(nn.Module):
    transformer: Any
    def __init__(
        self,
        device: Any = "cpu",
        max_length: int = 77,
        freeze: bool = True,
        layer: str = "last",
        layer_idx: int | None = None,
        textmodel_json_config: Any = None,
        dtype: torch.dtype | None = None,
        model_class: Any = ...,
        special_tokens: dict[str, int] = ...,
        return_projected_pooled: bool = True,
        model_options: dict[str, Any] = ...,
    ) -> None: ...

class SD1ClipModel(nn.Module):
    def __init__(
        self,
        device: Any = "cpu",
        dtype: torch.dtype | None = None,
        model_options: dict[str, Any] = ...,
        clip_name: str = "l",
        clip_model: Any = ...,
    ) -> None: ...
