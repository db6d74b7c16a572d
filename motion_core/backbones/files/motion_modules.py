"""AnimateDiff's motion modules by themselves, without an image UNet around them.

In: a motion module (the authors' file, or a diffusers MotionAdapter folder). Out: diffusers' own
modules, under the names that they have in a UNetMotionModel: an adapter finds the same layers in
both.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import MotionAdapter

from ..base import Family
from ..frame_norms import normalise_as_version
from ..temporal import skip_single_frames
from .architecture import (
    Config,
    motion_channels,
    motion_config,
    motion_layers_per_block,
    own_metadata,
)
from .folders import model_path, open_folder, read_config
from .keys import KeyMap, motion_keys, same_keys
from .kinds import motion_module_version, require_role
from .loading import Section, build_empty, fill
from .roles import MOTION_MODULES
from .tensors import TensorFile, open_tensors

logger = logging.getLogger(__name__)

_ENTRIES = ("motion_num_attention_heads", "motion_max_seq_length", "use_motion_mid_block")
# Some motion modules were saved together with the UNet that they were trained on.
NOT_MOTION = r"^(?!.*motion_modules)"


class OpenedMotion(NamedTuple):
    """A motion module before its tensors are read. config: the motion entries of a
    UNetMotionModel's configuration."""

    file: TensorFile
    config: Config
    version: str


@dataclass(frozen=True, kw_only=True)
class MotionModules:
    """Loaded motion modules, frozen and in evaluation mode; each skips single frames.

    version: "animatediff-sd15-v1", "-v2", "-v3", or what the file says itself. channels: the widths
    of the UNet's levels. max_frames: the positional encoding holds that many.
    """

    modules: MotionAdapter
    version: str
    channels: list[int]
    max_frames: int
    family: Family = field(default="animatediff", init=False)


def open_motion(path: Path) -> OpenedMotion:
    """Opens a motion module; raises FormatError for a file that is missing, damaged or of another
    role.
    """
    path = model_path(path)
    file = open_folder(path) if path.is_dir() else open_tensors(path)
    require_role(file, MOTION_MODULES, "an AnimateDiff motion module")
    own = own_metadata(file)
    given = read_config(path) if path.is_dir() else own.get("motion", {})
    config = {**motion_config(file), **{k: given[k] for k in _ENTRIES if k in given}}
    _warn_of_the_rest(file)
    version = own.get("version", f"animatediff-sd15-{motion_module_version(file)}")
    return OpenedMotion(file, config, version)


def left_out(file: TensorFile) -> list[str]:
    """The tensors beside the motion modules, which are not used: parts for images and frame rates
    that PIA, AnimateLCM-I2V and FancyVideo have, or the UNet that the modules were trained on.
    """
    return [key for key in file.shapes if "motion_modules" not in key]


def _warn_of_the_rest(file: TensorFile) -> None:
    rest = left_out(file)
    if rest:
        parts = ", ".join(dict.fromkeys(key.split(".")[0] for key in rest))
        logger.warning(
            "%s: only its motion modules are used. %d other tensors are left out (%s).",
            file.name,
            len(rest),
            parts,
        )


def load_motion_modules(
    path: Path,
    version: str | None = None,
    norm_groups: int = 32,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> MotionModules:
    """The modules alone.

    version: None for what the file is. norm_groups: of the UNet's group norms, which those of the
    modules have too. Raises as `open_motion`, and for tensors that are missing, unknown or of
    another shape.
    """
    motion = open_motion(Path(path))
    version = version or motion.version
    channels = motion_channels(motion.file)
    modules = build_empty(
        lambda: MotionAdapter(
            block_out_channels=tuple(channels),
            motion_layers_per_block=motion_layers_per_block(motion.file),
            motion_norm_num_groups=norm_groups,
            **motion.config,
        ),
        motion.file.name,
    )
    section = Section(
        file=motion.file,
        keys=motion_file_keys(motion.file, list(modules.state_dict())),
        part="the motion modules",
        ignored=NOT_MOTION,
    )
    skip_single_frames(modules)
    normalise_as_version(modules, version)
    return MotionModules(
        modules=fill(modules, [section], dtype, device),
        version=version,
        channels=channels,
        max_frames=int(motion.config["motion_max_seq_length"]),
    )


def motion_file_keys(file: TensorFile, names: list[str]) -> KeyMap:
    """The motion modules in a file of the authors or in one with diffusers' names."""
    if any(".temporal_transformer." in key for key in file.shapes):
        return motion_keys(names)
    return same_keys(name for name in names if ".motion_modules." in name)
