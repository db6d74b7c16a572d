"""What every kind of adapter has in common: it is data that can be put on a model for a while and
taken off again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from torch import Tensor

from ..backbones.base import Backbone, Family

Scope = Literal["temporal", "spatial"]
MOTION: Sequence[Scope] = ("temporal",)


class Adapter(Protocol):
    """A trained change of a backbone, on the CPU. kind: "lora", "weights", "embedding" …

    scope: whether it changes how things move ("temporal") or how they look ("spatial").
    """

    @property
    def kind(self) -> str: ...

    @property
    def scope(self) -> Scope: ...

    def state_dict(self) -> dict[str, Tensor]:
        """Its tensors by name, float32, as the adapter file stores them under this adapter's
        prefix.
        """
        ...

    @property
    def options(self) -> Mapping[str, object]:
        """What else it takes to apply it, as plain values; the adapter file keeps them."""
        ...

    @classmethod
    def from_state_dict(
        cls,
        tensors: Mapping[str, Tensor],
        *,
        scope: Scope,
        family: Family,
        options: Mapping[str, object],
    ) -> Adapter:
        """The inverse of `state_dict` and `options`; raises FormatError for other names, shapes
        or options.
        """
        ...

    def applied(self, backbone: Backbone, strength: float) -> AbstractContextManager[None]:
        """Puts the adapter on the backbone at a strength; the context takes it off, bit for bit.

        Raises AdapterError if no layer of the backbone has the name and shape that a tensor needs.
        """
        ...


def names_of_scopes(
    adapters: Mapping[str, Adapter], scopes: Sequence[Scope] = MOTION
) -> tuple[str, ...]:
    """The names of the adapters of these scopes, or all names where there are none."""
    return tuple(name for name, a in adapters.items() if a.scope in scopes) or tuple(adapters)
