from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .io import ComfyNode, FolderType

class SavedResult(dict[str, str]):
    def __init__(self, filename: str, subfolder: str, type: FolderType) -> None: ...

class SavedImages:
    def __init__(self, results: list[Any], is_animated: bool = False) -> None: ...
    def as_dict(self) -> dict[str, Any]: ...

class PreviewText:
    def __init__(self, value: str) -> None: ...
    def as_dict(self) -> dict[str, Any]: ...

class ImageSaveHelper:
    @staticmethod
    def save_images(
        images: Tensor | Sequence[Tensor],
        filename_prefix: str,
        folder_type: FolderType,
        cls: type[ComfyNode] | None,
        compress_level: int = 4,
    ) -> list[Any]: ...
    @staticmethod
    def save_animated_webp(
        images: Tensor,
        filename_prefix: str,
        folder_type: FolderType,
        cls: type[ComfyNode] | None,
        fps: float,
        lossless: bool,
        quality: int,
        method: int,
    ) -> Any: ...
