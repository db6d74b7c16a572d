"""What a method is to the trainer: which parameters it trains, on which losses, and what it leaves
behind."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ..adapters.base import Adapter
from ..backbones.base import Backbone
from ..types import Batch, LatentClip


class LossTerm(NamedTuple):
    """One loss of one pass. value: scalar, float32. group: the one parameter group that it
    trains."""

    name: str
    value: Tensor
    group: str


@dataclass(frozen=True, kw_only=True)
class ParameterGroup:
    """Trained together by one optimiser. learning_rate and weight_decay: the method's own
    defaults."""

    parameters: Sequence[nn.Parameter]
    learning_rate: float
    weight_decay: float


class Attached(Protocol):
    """A method attached to a backbone: its parameters live in the model until the context
    ends."""

    groups: Mapping[str, ParameterGroup]

    def passes(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """Yields one LossTerm a forward pass. The caller runs `backward` before asking for the
        next one, so that each graph is freed first and the model is still in that pass's state
        when a checkpoint is recomputed. It closes the generator when a backward fails, so that the
        model leaves that pass's state."""
        ...

    def adapters(self) -> dict[str, Adapter]:
        """What has been learned so far, by group name ("temporal", "spatial.0" …), as copies on
        the CPU."""
        ...


class Method(Protocol):
    """A method, configured. `name` is its registry name, `settings` its frozen settings
    dataclass. Its samples apply what moves; a method of which they need more says so by an
    attribute `shows`, see `shown`. A method whose training differs from the trainer's defaults has
    them as `train_defaults`; one with stages has the fewest steps that reach the last one as
    `least_steps`."""

    name: str

    @property
    def settings(self) -> object: ...

    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> AbstractContextManager[Attached]:
        """Puts freshly initialised adapters into the model; the context removes them, also after
        an exception."""
        ...
