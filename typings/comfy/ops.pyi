from typing import Any

import torch

class manual_cast: ...

def pick_operations(
    weight_dtype: torch.dtype | None,
    compute_dtype: torch.dtype | None,
    load_device: torch.device | None = None,
) -> Any: ...
