"""Prompts to prompt embeddings: a CLIP text tower with the tokenizer that it was trained with.

The tokenizer is open_clip's `SimpleTokenizer`, which carries CLIP's vocabulary (49,408 tokens) in
its package, so no file is fetched. Stable Diffusion pads with the end token, OpenCLIP models
(ZeroScope's) with 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor
from transformers import CLIPTextModel


@dataclass(frozen=True, kw_only=True)
class TextEncoder:
    """model: a transformers CLIPTextModel whose last hidden state, after the final norm, conditions
    the UNet.

    pad_token: what fills a prompt up to the context length.
    """

    model: CLIPTextModel
    tokenizer: SimpleTokenizer
    pad_token: int

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
        return self.model(self.tokenize(prompts).to(self.model.device)).last_hidden_state
