"""Every kind of adapter that an adapter file may hold, by the name that the file gives it."""

from __future__ import annotations

from .base import Adapter
from .embedding.adapter import EmbeddingAdapter
from .injector import InjectorAdapter
from .lora.adapter import LoraAdapter
from .verb.adapter import VerbAdapter
from .weights.adapter import WeightsAdapter

ADAPTERS: dict[str, type[Adapter]] = {
    "lora": LoraAdapter,
    "embedding": EmbeddingAdapter,
    "weights": WeightsAdapter,
    "verb": VerbAdapter,
    "injector": InjectorAdapter,
}
