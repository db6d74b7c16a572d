from typing import Any

from torch import Tensor, nn

class SpatialTransformer(nn.Module):
    in_channels: int
    transformer_blocks: nn.ModuleList

def optimized_attention(
    q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None, **kwargs: Any
) -> Tensor: ...
