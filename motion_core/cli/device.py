"""Where a command computes."""

from __future__ import annotations

import torch

from ..errors import SettingsError


def chosen_device(name: str) -> torch.device:
    """The device of "auto", "cpu" or "cuda"; raises SettingsError for a GPU that is not there."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise SettingsError(
            "The installed torch finds no usable CUDA GPU. Use --device cpu, or install a torch "
            "build for your GPU."
        )
    return torch.device("cuda" if available and name != "cpu" else "cpu")
