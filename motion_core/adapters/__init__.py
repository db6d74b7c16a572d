"""Every kind of adapter that an adapter file may hold, by the name that the file gives it."""

from __future__ import annotations

from .base import Adapter
from .embeddings import EmbeddingAdapter
from .injector import InjectorAdapter
from .lora_adapter import LoraAdapter
from .verb import VerbAdapter
from .weights import WeightsAdapter

ADAPTERS: dict[str, type[Adapter]] = {
    "lora": LoraAdapter,
    "embedding": EmbeddingAdapter,
    "weights": WeightsAdapter,
    "verb": VerbAdapter,
    "injector": InjectorAdapter,
}
