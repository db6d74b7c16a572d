"""What every kind of adapter has in common: it is data that can be put on a model for a while and
taken off again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from torch import Tensor

from ..backbones.base import Backbone, Family
from ..errors import AdapterError

Scope = Literal["temporal", "spatial"]
MOTION: Sequence[Scope] = ("temporal",)


class Adapter(Protocol):
    """A trained change of a backbone, on the CPU.

    kind: its name in `ADAPTERS`, "lora", "weights", "embedding" …
    scope: whether it changes how things move ("temporal") or how they look ("spatial").
    family: of the bases that it fits.
    rank: of a LoRA, the largest of its layers; None for every other kind.
    """

    @property
    def kind(self) -> str: ...

    @property
    def scope(self) -> Scope: ...

    @property
    def family(self) -> Family: ...

    @property
    def rank(self) -> int | None: ...

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

    def layers(self) -> Collection[str]:
        """Full names of the network's layers that it is said to adapt; empty for a kind that
        changes what the network is given (prompts, hidden states) and no layer.
        """
        ...

    def weight_changes(self) -> Mapping[str, Tensor] | None:
        """Its changes of whole parameters, float32, by their full names in the network; None for a
        kind that is no change of parameters.
        """
        ...

    def scaled(self, strength: float) -> Adapter:
        """What does at strength 1 as this one does at `strength`."""
        ...

    def joins(self, other: Adapter) -> bool:
        """Whether the two, of one scope and family, can be `joined`."""
        ...

    def joined(self, others: Sequence[Adapter]) -> Adapter:
        """What does as this one and the others do together, each at strength 1.

        Raises AdapterError where a layer has another size in each, or for one that it does not
        join.
        """
        ...

    def applied(self, backbone: Backbone, strength: float) -> AbstractContextManager[None]:
        """Puts the adapter on the backbone at a strength; the context takes it off, bit for bit.

        Raises AdapterError for a base of another family, or if no layer of the backbone has the
        name and shape that a tensor needs; the base is then untouched.
        """
        ...


def names_of_scopes(
    adapters: Mapping[str, Adapter], scopes: Sequence[Scope] = MOTION
) -> tuple[str, ...]:
    """The names of the adapters of these scopes, or all names where there are none."""
    return tuple(name for name, a in adapters.items() if a.scope in scopes) or tuple(adapters)


def check_family(trained: str, base: str, name: str = "The adapter") -> None:
    """Raises AdapterError if the families differ.

    trained: of what was trained, which messages call `name`.
    base: of the base that it is put on.
    """
    if trained != base:
        raise AdapterError(
            f"{name} was trained on {trained}, but the base is {base}. Use a base of the "
            f"{trained} family."
        )


def check_found(wanted: Sequence[str], found: Collection[str], what: str) -> None:
    """Raises AdapterError if one of the wanted names was not found, or none is wanted.

    what: they are, for messages, such as "layers".
    """
    missing = [name for name in wanted if name not in found]
    if missing or not wanted:
        some = ", ".join(missing[:3]) or "no names were given"
        raise AdapterError(
            f"{len(missing)} of {len(wanted)} {what} to adapt are not in this base: {some}. Use "
            "the base (family and version) that the adapter was trained on."
        )


def check_shape(name: str, base: Sequence[int | None] | None, adapter: Sequence[int]) -> None:
    """Raises AdapterError if a layer or parameter has another shape in the base than in the
    adapter.

    base: None where there is no such layer.
    """
    if base is None or tuple(base) != tuple(adapter):
        has = "missing" if base is None else "x".join(map(str, base))
        raise AdapterError(
            f"{name} is {has} in this base; the adapter's is {'x'.join(map(str, adapter))}. Use "
            "the base (family and version) that the adapter was trained on."
        )


def check_same_shapes(name: str, shapes: Sequence[Sequence[int]]) -> None:
    """Raises AdapterError if adapters to join have a layer or parameter in different shapes."""
    if len({tuple(shape) for shape in shapes}) > 1:
        sizes = " and ".join(dict.fromkeys("x".join(map(str, shape)) for shape in shapes))
        raise AdapterError(
            f"{name} is {sizes} in the adapters to merge: they are for different bases. Merge "
            "adapters that were trained on the same base."
        )


def check_joins(adapter: Adapter, others: Sequence[Adapter], why: str) -> None:
    """Raises AdapterError if one of the others does not join the adapter.

    why: what joins and what does not, for people.
    """
    for other in others:
        if not adapter.joins(other):
            raise AdapterError(
                f"An adapter of kind {adapter.kind!r} cannot be merged with one of kind "
                f"{other.kind!r}: {why}. Keep them side by side."
            )
