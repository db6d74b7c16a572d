from typing import Any

import torch

class ClipTarget:
    def __init__(self, tokenizer: Any, clip: Any) -> None: ...

class BASE:
    unet_config: dict[str, Any]
    latent_format: Any
    memory_usage_factor: float
    supported_inference_dtypes: list[torch.dtype]
    sampling_settings: dict[str, Any]
    manual_cast_dtype: torch.dtype | None
    def __init__(self, unet_config: dict[str, Any]) -> None: ...
    def set_inference_dtype(
        self, dtype: torch.dtype | None, manual_cast_dtype: torch.dtype | None
    ) -> None: ...
