"""The parts of a model that a method trains: planned, so that they can be counted without being
made; made; and switched on pass by pass, while only one group gets gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from ..adapters.base import Adapter, Scope
from ..adapters.lora.training import LoraPlan
from ..backbones.base import Backbone
from ..backbones.frozen import frozen_parameters


class Trainable(Protocol):
    """A part in training. Outside of `active` it changes nothing, bit for bit."""

    @property
    def parameters(self) -> Sequence[nn.Parameter]:
        """What is trained, float32; always in one order, by which checkpoints keep them."""
        ...

    def active(self) -> AbstractContextManager[None]:
        """Within the context the part takes part in the forward pass. Backward belongs inside too:
        a checkpointed block is recomputed there.
        """
        ...

    def export(self) -> Adapter:
        """What has been trained so far, as a copy on the CPU."""
        ...


class Plan(Protocol):
    """A part that is yet to be made."""

    def count(self, network: nn.Module) -> int:
        """How many numbers it trains on this network, which may be on the meta device."""
        ...

    def made(
        self, name: str, backbone: Backbone, rng: torch.Generator
    ) -> AbstractContextManager[Trainable]:
        """Makes the part, under a name that no other in the model has; the context takes it out,
        also after an exception. Initial values come from `rng` alone.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class ParameterGroup:
    """Parts, by name, that one optimiser trains together. learning_rate and weight_decay: the
    method's own defaults. keeps_rate: whatever learning rate the training has, this one is kept: it
    is a setting of the method's.
    """

    parts: Mapping[str, Trainable]
    learning_rate: float
    weight_decay: float
    keeps_rate: bool = False

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [parameter for part in self.parts.values() for parameter in part.parameters]


@dataclass(frozen=True, kw_only=True)
class PlannedGroup:
    """A `ParameterGroup` that is yet to be made."""

    parts: Mapping[str, Plan]
    learning_rate: float
    weight_decay: float
    keeps_rate: bool = False

    def count(self, network: nn.Module) -> int:
        """How many numbers it trains on this network."""
        return sum(plan.count(network) for plan in self.parts.values())


@contextmanager
def made(
    groups: Mapping[str, PlannedGroup], backbone: Backbone, rng: torch.Generator
) -> Iterator[dict[str, ParameterGroup]]:
    """The groups with their parts, made in their order; the context takes them out again."""
    with ExitStack() as stack:
        yield {
            group: ParameterGroup(
                parts={
                    name: stack.enter_context(plan.made(name, backbone, rng))
                    for name, plan in planned.parts.items()
                },
                learning_rate=planned.learning_rate,
                weight_decay=planned.weight_decay,
                keeps_rate=planned.keeps_rate,
            )
            for group, planned in groups.items()
        }


@contextmanager
def training(
    groups: Mapping[str, ParameterGroup], group: str, beside: Sequence[str] = ()
) -> Iterator[None]:
    """Within the context this group takes part in the forward pass, and gets gradients; those
    `beside` it take part without. Backward belongs inside too.
    """
    others = [p for name, other in groups.items() if name != group for p in other.parameters]
    with taking_part(groups, (*beside, group)), frozen_parameters(others):
        yield


@contextmanager
def taking_part(groups: Mapping[str, ParameterGroup], names: Sequence[str]) -> Iterator[None]:
    """Within the context these groups take part in the forward pass."""
    with ExitStack() as stack:
        for name in names:
            for part in groups[name].parts.values():
                stack.enter_context(part.active())
        yield


def lora_plans(
    backbone: Backbone,
    scopes: Mapping[str, Scope],
    *,
    rank: int,
    alpha: float | None = None,
    dropout: float = 0.0,
    temporal: str = "temporal",
) -> dict[str, LoraPlan]:
    """A LoRA of each name on all layers of its scope. alpha: None is rank. temporal: the role of
    the layers of those whose scope this is.
    """
    return {
        name: LoraPlan(
            scope=scope,
            linears=backbone.sites(temporal if scope == "temporal" else scope),
            rank=rank,
            alpha=alpha or rank,
            dropout=dropout,
        )
        for name, scope in scopes.items()
    }
