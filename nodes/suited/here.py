"""This ComfyUI, for what suits a graph: where its files lie, what words become on its device."""

from __future__ import annotations

from ..adapters import adapter_path
from ..host.folders import media_path
from ..train import usual_precision
from .answer import Here
from .connected import FolderOf


def here() -> Here:
    """As it is now: files come and go."""
    folders = FolderOf(media=media_path, adapter=adapter_path)
    return Here(folders=folders, precision=usual_precision())
