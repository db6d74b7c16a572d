"""Every kind of adapter that an adapter file may hold, by the name that the file gives it."""

from __future__ import annotations

from .base import Adapter
from .embeddings import EmbeddingAdapter
from .lora_adapter import LoraAdapter
from .weights import WeightsAdapter

ADAPTERS: dict[str, type[Adapter]] = {
    "lora": LoraAdapter,
    "embedding": EmbeddingAdapter,
    "weights": WeightsAdapter,
}
