"""Where a command computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from ..errors import SettingsError

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda", "mps", "xpu"]


def chosen_device(name: str) -> torch.device:
    """The device of a name; raises SettingsError for one that is not there.

    "auto" is CUDA (which AMD's builds of torch call so too) or the CPU: on Apple's and Intel's GPUs
    nothing has been tried, so they are used where they are asked for.
    """
    import torch  # heavy, and the flags are read without

    found: Mapping[str, Callable[[], bool]] = {
        "cpu": lambda: True,
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
        "xpu": torch.xpu.is_available,
    }
    if name == "auto":
        return torch.device("cuda" if found["cuda"]() else "cpu")
    if not found[name]():
        raise SettingsError(
            f"The installed torch finds no usable {name.upper()} GPU. Use --device cpu, or install "
            "a torch build for your GPU."
        )
    return torch.device(name)
