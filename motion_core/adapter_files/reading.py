"""Reads an adapter, whoever wrote it.

In: a file of this package, a LoRA for AnimateDiff or ZeroScope in the names of any program, a LoRA
list or a whole checkpoint folder of the official MotionDirector, or a motion_embed.pt of the
official Motion Inversion. Out: a `LoadedAdapter`. Another program's file says nothing of its
training: see `AdapterInfo.is_foreign`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..adapters.base import Adapter, names_of_scopes
from ..backbones.base import Family
from ..backbones.families import ANIMATEDIFF, ZEROSCOPE
from ..backbones.files.kinds import file_role
from ..backbones.files.roles import Role
from ..backbones.files.tensors import open_tensors
from ..errors import FormatError
from .loaded import LoadedAdapter
from .lora_files import read_lora
from .official_motion_director import import_motion_director
from .official_motion_inversion import import_motion_embed
from .own import AdapterInfo, load_adapter
from .summary import adapter_parametrisation, adapter_rank, adapter_sites

# Where the official MotionDirector's trainer puts its LoRAs, below checkpoint-N.
CHECKPOINT_LISTS = {scope: f"{scope}/lora" for scope in ("temporal", "spatial")}
LIST_PATTERN = "*_unet.pt"


@dataclass(frozen=True, kw_only=True)
class _Program:
    """Whose file it is. The size is the usual one of its trainings, in the authors' configs."""

    method: str
    family: Family
    width: int
    height: int
    frames: int
    read: Callable[[Path], Mapping[str, Adapter]]


_PROGRAMS: Mapping[Role, _Program] = {
    # AnimateDiff, configs/training/v1/training.yaml.
    Role.MOTION_LORA: _Program(
        method="animatediff_motion_lora",
        family=ANIMATEDIFF,
        width=256,
        height=256,
        frames=16,
        read=lambda path: read_lora(open_tensors(path)),
    ),
    # Stable Diffusion 1.5's own size.
    Role.APPEARANCE_LORA: _Program(
        method="image_lora",
        family=ANIMATEDIFF,
        width=512,
        height=512,
        frames=16,
        read=lambda path: read_lora(open_tensors(path)),
    ),
    # MotionDirector, as below.
    Role.VIDEO_LORA: _Program(
        method="zeroscope_lora",
        family=ZEROSCOPE,
        width=384,
        height=384,
        frames=16,
        read=lambda path: read_lora(open_tensors(path)),
    ),
    # MotionDirector, configs/config_single_video.yaml.
    Role.POSITIONAL_LORA: _Program(
        method="motion_director",
        family=ZEROSCOPE,
        width=384,
        height=384,
        frames=16,
        read=import_motion_director,
    ),
    # Motion Inversion, configs/config.yaml.
    Role.MOTION_EMBEDDING: _Program(
        method="motion_inversion",
        family=ZEROSCOPE,
        width=576,
        height=320,
        frames=24,
        read=lambda path: {"temporal": import_motion_embed(path)},
    ),
}

ADAPTER_ROLES = frozenset((Role.OWN_ADAPTER, *_PROGRAMS))
"""The files that `read_any_adapter` reads."""


def read_any_adapter(path: Path, *, name: str = "", strength: float = 1.0) -> LoadedAdapter:
    """The info and all adapters, float32 on the CPU, without pictures and noise.

    path: a file, or a folder that holds temporal/lora/*_unet.pt, spatial/lora/*_unet.pt or both.
    name: for messages, else the file's. No code from a file is run. Raises FormatError for a file
    of another role, which it names, and for one that is missing, damaged or of another size.
    """
    info, adapters = _read(path)
    return LoadedAdapter(
        name=name or path.name, path=path, info=info, adapters=adapters, strength=strength
    )


def _read(path: Path) -> tuple[AdapterInfo, dict[str, Adapter]]:
    if path.is_dir():
        return _foreign(_PROGRAMS[Role.POSITIONAL_LORA], _read_checkpoint_folder(path))
    role = file_role(path)
    if role not in _PROGRAMS:
        return load_adapter(path)  # which refuses every other role by name
    return _foreign(_PROGRAMS[role], _PROGRAMS[role].read(path))


def _read_checkpoint_folder(folder: Path) -> dict[str, Adapter]:
    adapters: dict[str, Adapter] = {}
    for below in CHECKPOINT_LISTS.values():
        lists = sorted((folder / below).glob(LIST_PATTERN))
        if len(lists) > 1:
            raise FormatError(
                f"{folder.name}/{below} contains {len(lists)} files {LIST_PATTERN}; expected "
                "one. Give the file itself."
            )
        for path in lists:
            adapters.update(import_motion_director(path))
    if not adapters:
        raise FormatError(
            f"{folder.name} is not a checkpoint from the official MotionDirector: it contains no "
            f"temporal/lora/{LIST_PATTERN} and no spatial/lora/{LIST_PATTERN}. Give such a "
            "folder, or a file."
        )
    return adapters


def _foreign(
    program: _Program, adapters: Mapping[str, Adapter]
) -> tuple[AdapterInfo, dict[str, Adapter]]:
    info = AdapterInfo(
        method=program.method,
        settings={},
        parametrisation=adapter_parametrisation(adapters),
        family=program.family,
        version="",
        rank=adapter_rank(adapters),
        sites=adapter_sites(adapters),
        frames=program.frames,
        width=program.width,
        height=program.height,
        fps=8.0,
        prompts=(),
        steps=0,
        reference_hash="",
        licence="",
        package_version="",
        shown=names_of_scopes(adapters),
    )
    return info, dict(adapters)
