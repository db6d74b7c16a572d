"""The noise file beside an adapter: the reference clip's inverted latents, for the noise prior.

In and out: latents (1, C, F, h, w), float32, and a `NoiseInfo` that says what they fit. The
header's metadata key `motion_noise` holds the info as sorted JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..backbones.files.kinds import NOISE_METADATA, require_role
from ..backbones.files.roles import Role
from ..backbones.files.tensors import TensorFile, open_tensors, write_tensors
from ..errors import FormatError, SettingsError
from ..settings import from_mapping, to_mapping

FORMAT_VERSION = 1
TENSOR = "latents"
ENDING = ".noise.safetensors"


@dataclass(frozen=True, kw_only=True)
class NoiseInfo:
    """family, version: of the base that inverted the clip. steps: of the inversion. prompt, digest:
    of the clip.
    """

    family: str
    version: str
    steps: int
    prompt: str
    digest: str
    format_version: int = FORMAT_VERSION


def noise_path(adapter: Path) -> Path:
    """Where the noise of an adapter file lies: `car.noise.safetensors` beside `car.safetensors`."""
    return adapter.with_name(f"{adapter.stem}{ENDING}")


def save_noise(path: Path, latents: Tensor, info: NoiseInfo) -> None:
    """Writes the file in one go. latents: (1, C, F, h, w)."""
    metadata = {NOISE_METADATA: json.dumps(to_mapping(info), sort_keys=True)}
    write_tensors(path, {TENSOR: latents.float()}, metadata)


def has_noise(adapter: Path, digest: str, steps: int) -> bool:
    """Whether the noise of an adapter file lies beside it, of this clip and so many steps."""
    path = noise_path(adapter)
    if not path.is_file():
        return False
    try:
        info = _read_info(open_tensors(path))
    except FormatError:
        return False
    return (info.digest, info.steps) == (digest, steps)


def load_noise(path: Path) -> tuple[NoiseInfo, Tensor]:
    """Reads what `save_noise` wrote, on the CPU; raises FormatError for another kind of file."""
    file = open_tensors(path)
    return _read_info(file), file.read(TENSOR).clone()


def _read_info(file: TensorFile) -> NoiseInfo:
    require_role(file, (Role.INVERTED_NOISE,), f"the {ENDING} file next to an adapter")
    if TENSOR not in file.shapes:
        raise FormatError(f"{file.name} does not contain its latents. Train again.")
    try:
        info = from_mapping(NoiseInfo, json.loads(file.metadata[NOISE_METADATA]))
    except (ValueError, TypeError, SettingsError) as error:
        raise FormatError(f"{file.name} has a damaged header ({error}). Train again.") from error
    if info.format_version > FORMAT_VERSION:
        raise FormatError(
            f"{file.name} has noise format {info.format_version}; this package reads up to "
            f"{FORMAT_VERSION}. Update Motion Adapters."
        )
    return info
