from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

from .supported_models_base import BASE

class ModelType(Enum):
    EPS = 1
    V_PREDICTION = 2

class BaseModel(nn.Module):
    diffusion_model: Any
    model_config: Any
    model_sampling: Any
    model_type: ModelType
    latent_format: Any
    manual_cast_dtype: torch.dtype | None
    device: torch.device
    def __init__(
        self,
        model_config: BASE,
        model_type: ModelType = ...,
        device: torch.device | None = None,
        unet_model: Any = ...,
    ) -> None: ...
    def extra_conds(self, **kwargs: Any) -> dict[str, Any]: ...
    def get_dtype(self) -> torch.dtype: ...
    def load_model_weights(self, sd: dict[str, Tensor], unet_prefix: str = "") -> BaseModel: ...
