from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]]

class CLIPTextModel(nn.Module):
    text_model: Any
    def __init__(self, config_dict: Any, dtype: Any, device: Any, operations: Any) -> None: ...
    def set_input_embeddings(self, embeddings: nn.Module) -> None: ...
