"""Prompts to prompt embeddings: a CLIP text tower with the tokenizer that it was trained with.

The tokenizer is open_clip's `SimpleTokenizer`, which carries CLIP's vocabulary (49,408 tokens) in
its package, so no file is fetched. Stable Diffusion pads with the end token, OpenCLIP models
(ZeroScope's) with 0. An adapter may add to the embeddings for a while, see `TextEncoder.changed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from open_clip.tokenizer import SimpleTokenizer
    from transformers import CLIPTextModel

PromptChange = Callable[[Sequence[str], Tensor], Tensor]
"""From prompts and their embeddings (B, L, D) to what is added to these, of the same shape, dtype
and device."""


@dataclass(frozen=True, kw_only=True)
class TextEncoder:
    """model: a transformers CLIPTextModel whose last hidden state, after the final norm, conditions
    the UNet.

    pad_token: what fills a prompt up to the context length.
    """

    model: CLIPTextModel
    tokenizer: SimpleTokenizer
    pad_token: int
    _changes: list[PromptChange] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    @property
    def context_length(self) -> int:
        return int(self.model.config.max_position_embeddings)

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """(B, L) int64 token ids: start, the prompt cut to fit, end, then padding."""
        start, end = self.tokenizer.sot_token_id, self.tokenizer.eot_token_id
        rows = []
        for prompt in prompts:
            ids = self.tokenizer.encode(prompt)[: self.context_length - 2]
            row = [start, *ids, end]
            rows.append(row + [self.pad_token] * (self.context_length - len(row)))
        return torch.tensor(rows, dtype=torch.int64)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """prompt_embeds (B, L, D) in the model's dtype, on its device."""
        plain = self.model(self.tokenize(prompts).to(self.model.device)).last_hidden_state
        embeds = plain
        for change in self._changes:
            embeds = embeds + change(prompts, plain)
        return embeds

    @contextmanager
    def changed(self, change: PromptChange) -> Iterator[None]:
        """Within the context `change` is added to every encoding.

        Several may be on at once: each is made from the model's own embeddings, and they add up.
        """
        self._changes.append(change)
        try:
            yield
        finally:
            self._changes.remove(change)
