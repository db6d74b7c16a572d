from typing import Any

from torch import Tensor, nn

class ResBlock(nn.Module):
    out_channels: int

class UNetModel(nn.Module):
    input_blocks: Any
    middle_block: Any
    output_blocks: Any
    out: Any
    num_res_blocks: list[int]
    model_channels: int
    dtype: Any
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

def apply_control(h: Tensor, control: Any, name: str) -> Tensor: ...
