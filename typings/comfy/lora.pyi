from typing import Any

import torch
from torch import Tensor

def calculate_weight(
    patches: Any, weight: Tensor, key: str, intermediate_dtype: torch.dtype = ...
) -> Tensor: ...
