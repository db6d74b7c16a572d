"""What a method is to the trainer: which parameters it trains, on which losses, and what it leaves
behind."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ..adapters.base import MOTION, Adapter, names_of_scopes
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
    """A method, configured.

    name: in files and the registry. title: the name that people read. summary: a phrase on what it
    does. Settings: its frozen dataclass, whose defaults are the method's own. Its samples apply
    what moves; a method of which they need more says so by an attribute `shows`, see
    `applied_names`. A method whose training differs from the trainer's defaults has them as
    `train_defaults`; one with stages has the fewest steps that reach the last one as `least_steps`.
    """

    name: str
    title: str
    summary: str
    Settings: type

    def __init__(self, settings: Any = None) -> None: ...

    @property
    def settings(self) -> Any: ...

    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> AbstractContextManager[Attached]:
        """Puts freshly initialised adapters into the model; the context removes them, also after
        an exception."""
        ...


def applied_names(adapters: Mapping[str, Adapter], method: Method) -> tuple[str, ...]:
    """The names of what a sample applies: adapters of the scopes in the method's `shows`, or all of
    them where nothing moves (a run on images).

    A method may train more than a sample should apply: MotionDirector's spatial LoRAs are there to
    keep a video's appearance out of its motion. So without `shows` only motion is applied. The
    adapter file keeps the names, so that no reader has to know the method.
    """
    return names_of_scopes(adapters, getattr(method, "shows", MOTION))


def applied_adapters(
    adapters: Mapping[str, Adapter], method: Method
) -> list[tuple[Adapter, float]]:
    """What a sample of a run applies, at full strength."""
    return [(adapters[name], 1.0) for name in applied_names(adapters, method)]
