"""An adapter file in memory, whoever wrote it, and what a sample applies of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..adapters.base import Adapter, names_of_scopes
from .noise_file import NoiseInfo
from .own import AdapterInfo


@dataclass(frozen=True, kw_only=True)
class LoadedAdapter:
    """One trained or loaded motion.

    name: for messages, usually the file's.
    path: the file or folder that it was read from; None for what was made in memory.
    info: what the file says of it.
    adapters: all that the file holds, by name; which of them are applied, `shown` says.
    strength: 1 is as trained.
    inverted: (1, C, F, h, w), the latents of the reference's own noise, from the file beside it.
    noise: what that file says of them.
    previews: the file's small pictures, JPEG or PNG, in order.
    """

    name: str
    path: Path | None = None
    info: AdapterInfo
    adapters: Mapping[str, Adapter]
    strength: float = 1.0
    inverted: Tensor | None = None
    noise: NoiseInfo | None = None
    previews: Sequence[bytes] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """The names of what a sample applies where nothing else is asked for: what the file says,
        else what moves, else all of it.
        """
        return tuple(self.info.shown) or names_of_scopes(self.adapters)

    def applied(self) -> list[tuple[Adapter, float]]:
        """These, each at the strength; none at strength 0."""
        names = self.shown if self.strength != 0.0 else ()
        return [(self.adapters[name], self.strength) for name in names]
