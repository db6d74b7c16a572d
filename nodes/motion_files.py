"""Motions from the files that the loaders list, and back into files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ..motion_core.adapter_files.merging import Part, merged
from ..motion_core.adapter_files.noise_file import NoiseInfo, load_noise, noise_path, save_noise
from ..motion_core.adapter_files.own import MAX_PREVIEWS, read_previews, save_adapter
from ..motion_core.adapter_files.reading import read_any_adapter
from ..motion_core.adapters.embedding.adapter import Debias, EmbeddingAdapter
from ..motion_core.errors import AdapterError, FormatError
from .sockets import Motion


def load_motion(path: Path, name: str) -> Motion:
    """A motion of any program's file or folder at strength 1, with the noise beside it.

    name: for messages. Raises FormatError for a file of another role, and for noise of another
    family's base.
    """
    info, adapters = read_any_adapter(path)
    noise, inverted = None, None
    if noise_path(path).is_file():
        noise, inverted = load_noise(noise_path(path))
        if noise.family != info.family:
            raise FormatError(
                f"{noise_path(path).name} is of the {noise.family} family, and {path.name} of the "
                f"{info.family} family. Move the noise elsewhere; they do not belong together."
            )
    return Motion(
        name=name,
        info=info,
        adapters=adapters,
        inverted=inverted,
        noise=noise,
        previews=() if info.is_foreign else read_previews(path),
    )


def save_motion(path: Path, motion: Motion) -> None:
    """Writes the motion at strength 1, whatever its own, and its noise beside it."""
    save_adapter(path, motion.adapters, motion.info, motion.previews)
    beside = noise_path(path)
    if motion.inverted is None or motion.noise is None:
        beside.unlink(missing_ok=True)  # an older motion's of this name
        return
    save_noise(beside, motion.inverted, _kept(motion.noise))


def as_one(stack: Sequence[Motion]) -> Motion:
    """What plays of a stack as one motion at strength 1. A single motion at that strength stays as
    it is, with what does not play.

    The noise is kept where one motion alone has some, and the first pictures of all. Raises
    AdapterError where `merging.merged` does.
    """
    playing = [motion for motion in stack if motion.strength != 0.0]
    if len(playing) == 1 and playing[0].strength == 1.0:
        return playing[0]
    parts = [
        Part(name=m.name, info=m.info, adapters=m.adapters, strength=m.strength) for m in stack
    ]
    info, adapters = merged(parts)
    noisy = [motion for motion in playing if motion.inverted is not None]
    noise = noisy[0] if len(noisy) == 1 else None
    each = max(1, MAX_PREVIEWS // len(playing))
    pictures = [picture for motion in playing for picture in motion.previews[:each]]
    return Motion(
        name=" + ".join(motion.name for motion in playing),
        info=info,
        adapters=adapters,
        inverted=noise.inverted if noise else None,
        noise=noise.noise if noise else None,
        previews=pictures[:MAX_PREVIEWS],
    )


def with_debias(motion: Motion, debias: Debias) -> Motion:
    """The motion with its embeddings debiased in this way; raises AdapterError if it has none."""
    changed = {
        name: dataclasses.replace(adapter, debias=debias)
        for name, adapter in motion.adapters.items()
        if isinstance(adapter, EmbeddingAdapter)
    }
    if not changed:
        raise AdapterError(
            f"{motion.name} holds no motion embedding, so debias has no effect. Leave it at "
            '"as saved".'
        )
    return dataclasses.replace(motion, adapters={**motion.adapters, **changed})


def _kept(noise: NoiseInfo) -> NoiseInfo:
    """What was read, in the format that is written."""
    return dataclasses.replace(noise, format_version=NoiseInfo.format_version)
