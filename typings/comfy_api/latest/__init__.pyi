from fractions import Fraction
from typing import Any

from torch import Tensor

from . import io as io
from . import ui as ui

class ComfyExtension:
    async def get_node_list(self) -> list[type[io.ComfyNode]]: ...

class _Video:
    def get_components(self) -> Types.VideoComponents: ...
    def get_stream_source(self) -> Any: ...
    def get_active_trim_window(self) -> tuple[float, float]: ...

class Input:
    Video = _Video

class InputImpl:
    class VideoFromFile(_Video):
        def __init__(self, file: Any) -> None: ...

    class VideoFromComponents(_Video):
        def __init__(self, components: Types.VideoComponents) -> None: ...

class Types:
    class VideoComponents:
        images: Tensor
        frame_rate: Fraction
        audio: Any
        metadata: dict[str, Any] | None
        def __init__(
            self,
            images: Tensor,
            frame_rate: Fraction,
            audio: Any = None,
            metadata: dict[str, Any] | None = None,
        ) -> None: ...
