"""Whether the file of a part of a base can be loaded, found out by its own loader without reading a
weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from .animatediff import check_checkpoint, domain_adapter_pairs
from .files.components import text_from_file, vae_from_file
from .files.motion_modules import load_motion_modules
from .files.roles import MOTION_MODULES, Role
from .files.tensors import TensorFile
from .zeroscope import check_unet

Check = Callable[[Path, TensorFile], object]


def _check_motion_module(path: Path, file: TensorFile) -> None:
    # Groups of norms are the UNet's, which is not here, and change no tensor's shape.
    load_motion_modules(path, norm_groups=1, device="meta")


CHECKS: Mapping[Role, Check] = {
    Role.SD15_CHECKPOINT: lambda path, file: check_checkpoint(path if path.is_dir() else file),
    Role.MODELSCOPE_UNET: lambda path, file: check_unet(file),
    Role.VAE: lambda path, file: vae_from_file(file, torch.float32, "meta"),
    Role.TEXT_ENCODER: lambda path, file: text_from_file(file, torch.float32, "meta"),
    Role.DOMAIN_ADAPTER: lambda path, file: domain_adapter_pairs(file),
    **dict.fromkeys(MOTION_MODULES, _check_motion_module),
}
"""By role, with the file's or folder's path and the opened file; they raise FormatError."""
