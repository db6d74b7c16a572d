"""Motions from the files that the loaders list, and back into files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ..motion_core.adapter_files.loaded import LoadedAdapter
from ..motion_core.adapter_files.merging import merged
from ..motion_core.adapter_files.noise_file import NoiseInfo, load_noise, noise_path, save_noise
from ..motion_core.adapter_files.own import MAX_PREVIEWS, read_previews, save_adapter
from ..motion_core.adapter_files.reading import read_any_adapter
from ..motion_core.adapters.embedding import adapter as embeddings
from ..motion_core.errors import AdapterError, FormatError
from ..motion_core.files import remove_file


def load_motion(path: Path, name: str) -> LoadedAdapter:
    """A motion of any program's file or folder at strength 1, with the noise beside it.

    name: for messages. Raises FormatError for a file of another role, and for noise of another
    family's base.
    """
    motion = read_any_adapter(path, name=name)
    family, beside = motion.info.family, noise_path(path)
    if not motion.info.is_foreign:
        motion = dataclasses.replace(motion, previews=read_previews(path))
    if not beside.is_file():
        return motion
    noise, inverted = load_noise(beside)
    if noise.family != family:
        raise FormatError(
            f"{beside.name} belongs to the {noise.family} family, but {path.name} to the "
            f"{family} family. Move the noise file elsewhere; they do not belong together."
        )
    return dataclasses.replace(motion, noise=noise, inverted=inverted)


def save_motion(path: Path, motion: LoadedAdapter) -> None:
    """Writes the motion at strength 1, whatever its own, and its noise beside it."""
    save_adapter(path, motion.adapters, motion.info, motion.previews)
    beside = noise_path(path)
    if motion.inverted is None or motion.noise is None:
        remove_file(beside)  # an older motion's of this name
        return
    save_noise(beside, motion.inverted, _kept(motion.noise))


def as_one(stack: Sequence[LoadedAdapter]) -> LoadedAdapter:
    """What is applied of a stack as one motion at strength 1. A single motion at that strength
    stays as it is, with what is not applied.

    The noise is kept where one motion alone has some, and the first pictures of all. Raises
    AdapterError where `merging.merged` does.
    """
    applied = [motion for motion in stack if motion.strength != 0.0]
    if len(applied) == 1 and applied[0].strength == 1.0:
        return applied[0]
    made = merged(stack)
    noisy = [motion for motion in applied if motion.inverted is not None]
    noise = noisy[0] if len(noisy) == 1 else None
    each = max(1, MAX_PREVIEWS // len(applied))
    pictures = [picture for motion in applied for picture in motion.previews[:each]]
    return dataclasses.replace(
        made,
        inverted=noise.inverted if noise else None,
        noise=noise.noise if noise else None,
        previews=pictures[:MAX_PREVIEWS],
    )


def with_debias(motion: LoadedAdapter, debias: embeddings.Debias) -> LoadedAdapter:
    """The motion with its embeddings debiased in this way; raises AdapterError if it has none."""
    changed = embeddings.with_debias(motion.adapters, debias)
    if not changed:
        raise AdapterError(
            f"{motion.name} contains no motion embedding, so debias has no effect. Leave it at "
            '"as saved".'
        )
    return dataclasses.replace(motion, adapters={**motion.adapters, **changed})


def _kept(noise: NoiseInfo) -> NoiseInfo:
    """What was read, in the format that is written."""
    return dataclasses.replace(noise, format_version=NoiseInfo.format_version)
