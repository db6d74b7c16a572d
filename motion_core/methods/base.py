"""What a method is: the parts it trains, on which losses, what it needs, and what it leaves behind.

A method is a subclass of `Method` and a line in the registry; what others have to know of it they
ask the class, never its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from ..adapters.base import MOTION, Adapter, Scope, names_of_scopes
from ..backbones.base import Backbone
from ..errors import ClipError
from ..settings import to_mapping
from ..types import Batch, LatentClip
from .defaults import Material, MethodDefaults, Rates
from .parts import ParameterGroup, PlannedGroup

S = TypeVar("S")


class LossTerm(NamedTuple):
    """One loss of one pass. value: scalar, float32. group: the one parameter group that it
    trains."""

    name: str
    value: Tensor
    group: str


Passes = Callable[[Batch, torch.Generator], Generator[LossTerm, None, None]]


@dataclass(frozen=True, kw_only=True)
class Attached:
    """A method at work: its parts are in the model until the context ends, and change nothing
    outside of the passes.

    groups: what is trained, by name.
    passes: yields one LossTerm a forward pass. The caller runs `backward` before asking for the
    next one, so that each graph is freed first and the model is still in that pass's state when a
    checkpoint is recomputed. It closes the generator when a backward fails, so that the model
    leaves that pass's state.
    """

    groups: Mapping[str, ParameterGroup]
    passes: Passes

    def adapters(self) -> dict[str, Adapter]:
        """What has been trained so far, by part ("temporal", "spatial.0" …), as copies on the
        CPU.
        """
        parts = [part for group in self.groups.values() for part in group.parts.items()]
        return {name: part.export() for name, part in parts}


class Method(ABC, Generic[S]):
    """A method, configured. Raises SettingsError on settings out of range.

    A base class and no protocol, so that most methods need not say what is the same for most.

    name: in the registry, files and commands.
    title: for people.
    summary: how the motion is learned, in a line that completes the name.
    Settings: the method's frozen settings dataclass.
    defaults: by the beginning of a base's name; "" is every base.
    shows: the scopes that a sample applies.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    Settings: ClassVar[type[Any]]
    defaults: ClassVar[Mapping[str, MethodDefaults]] = {}
    shows: ClassVar[Sequence[Scope]] = MOTION

    def __init__(self, settings: S | None = None) -> None:
        self.settings: S = self.Settings() if settings is None else settings

    @classmethod
    def defaults_of(cls, base: str) -> tuple[MethodDefaults, list[MethodDefaults]]:
        """Its defaults on every base, and those on bases whose names begin like this one's, of
        which a later one wins.
        """
        named = [cls.defaults[key] for key in sorted(cls.defaults) if key and base.startswith(key)]
        return cls.defaults.get("", MethodDefaults()), named

    @abstractmethod
    def rates(self, material: Material) -> Rates:
        """The optimiser's, where neither the base nor anybody else asks for others."""

    def written_out(self, learning_rate: float | None) -> dict[str, object]:
        """Its settings as plain values, with what None stands for: two of these that are equal
        train alike. learning_rate: the training's, None for the method's own.
        """
        values: dict[str, Any] = to_mapping(self.settings)
        if "alpha" in values and values["alpha"] is None:
            values["alpha"] = float(values["rank"])
        return values

    @property
    def least_steps(self) -> int:
        """The fewest steps that reach the last of the method's stages."""
        return 1

    @property
    def lighter(self) -> Sequence[str]:
        """Settings, as people write them, with which it would train far fewer numbers."""
        return ()

    def check(self, backbone: Backbone) -> None:
        """Raises MotionError where the base lacks what these settings need; before any work."""

    @abstractmethod
    def groups(self, backbone: Backbone, clips: Sequence[LatentClip]) -> dict[str, PlannedGroup]:
        """What it will train, in the order in which it is made. Of the clips only shapes, prompts
        and names are read. Raises ClipError or SettingsError where they do not fit.
        """

    def trained(self, backbone: Backbone, clips: Sequence[LatentClip]) -> dict[str, int]:
        """How many numbers it will train, by group; raises as `groups` does."""
        groups = self.groups(backbone, clips)
        return {name: group.count(backbone.network) for name, group in groups.items()}

    @abstractmethod
    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> AbstractContextManager[Attached]:
        """Makes what it trains, freshly initialised; the context takes it out, also after an
        exception. Raises as `groups` does.
        """


def check_videos(clips: Sequence[LatentClip], why: str) -> None:
    """Raises ClipError without clips, and for an image. why: it cannot be trained on, and what to
    do.
    """
    if not clips:
        raise ClipError("No clips to train on. Add at least one.")
    for clip in clips:
        if clip.is_image:
            raise ClipError(f"{clip.source} is an image; {why}")


def applied_names(adapters: Mapping[str, Adapter], method: Method) -> tuple[str, ...]:
    """The names of what a sample applies: adapters of the scopes in the method's `shows`, or all of
    them where nothing moves (a run on images).

    A method may train more than a sample should apply: MotionDirector's spatial LoRAs are there to
    keep a video's appearance out of its motion. So without `shows` only motion is applied. The
    adapter file keeps the names, so that no reader has to know the method.
    """
    return names_of_scopes(adapters, method.shows)


def applied_adapters(
    adapters: Mapping[str, Adapter], method: Method
) -> list[tuple[Adapter, float]]:
    """What a sample of a run applies, at full strength."""
    return [(adapters[name], 1.0) for name in applied_names(adapters, method)]
