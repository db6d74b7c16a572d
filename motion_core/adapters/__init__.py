"""Every kind of adapter that an adapter file may hold, by the name that the file gives it."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import AdapterError
from .base import Adapter
from .embedding.adapter import EmbeddingAdapter
from .injector import InjectorAdapter
from .lora.adapter import LoraAdapter
from .verb.adapter import VerbAdapter
from .weights.adapter import WeightsAdapter

ADAPTERS: dict[str, type[Adapter]] = {
    "lora": LoraAdapter,
    "weights": WeightsAdapter,
    "embedding": EmbeddingAdapter,
    "verb": VerbAdapter,
    "injector": InjectorAdapter,
}


def check_kinds(adapters: Iterable[Adapter]) -> None:
    """Raises AdapterError for an adapter of a kind that is not in ADAPTERS."""
    for adapter in adapters:
        if adapter.kind not in ADAPTERS:
            raise AdapterError(
                f"There is no kind of adapter {adapter.kind!r}; known kinds: {', '.join(ADAPTERS)}."
            )
