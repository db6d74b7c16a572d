"""The motion enhancer: what the clips' motion adds to the meaning of its verb.

In: the clips' mean image embedding and the verb's embedding in a prompt. Out: a residual on every
token of the verb, in the embedding that the text encoder made. MoTrans (ACM MM 2024), Eq. 3 and 4:
E_r = W2 · GELU(W1 · [MeanPool(ψ(V)), τ(s_i)]), E_cond = E_b + E_r. Both matrices are without bias,
as written; W2 is zero at the start, so that training begins at the base, and the hidden width is
the prompt's (the paper names neither).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...backbones.base import Backbone, Family
from ...backbones.text import TextEncoder
from ...errors import AdapterError, FormatError
from ..base import Adapter, Scope, check_family, check_joins
from .tokens import verb_tokens

logger = logging.getLogger(__name__)

_TENSORS = ("w1", "w2", "video_embed", "residual")


def residual(w1: Tensor, w2: Tensor, video_embed: Tensor, verb_embed: Tensor) -> Tensor:
    """E_r (D,) of Eq. 3, float32. w1: (H, V + D). w2: (D, H). video_embed: (V,). verb_embed:
    (D,).
    """
    hidden = F.gelu(w1 @ torch.cat([video_embed.float(), verb_embed.float()]))
    return w2 @ hidden


def verb_embed(prompt_embeds: Tensor, positions: Sequence[int]) -> Tensor:
    """τ(s_i) (D,), float32: the mean over the verb's tokens in a prompt's embedding (L, D)."""
    return prompt_embeds[list(positions)].float().mean(0)


def on_positions(change: Tensor, positions: Sequence[int], length: int) -> Tensor:
    """(L, D): `change` (D,) at these positions, zero elsewhere."""
    mask = torch.zeros(length, 1, device=change.device, dtype=change.dtype)
    mask[list(positions)] = 1.0
    return mask * change


def fresh_enhancer(
    video_width: int, prompt_width: int, rng: torch.Generator, device: torch.device
) -> tuple[nn.Parameter, nn.Parameter]:
    """W1 (D, V + D), drawn with variance 1 / (V + D), and W2 (D, D), zero. V, D: the widths."""
    inputs = video_width + prompt_width
    w1 = torch.randn(prompt_width, inputs, generator=rng) / math.sqrt(inputs)
    w2 = torch.zeros(prompt_width, prompt_width)
    return nn.Parameter(w1.to(device)), nn.Parameter(w2.to(device))


@dataclass(frozen=True, kw_only=True)
class VerbAdapter:
    """A trained motion enhancer. w1, w2: of Eq. 3. video_embed: (V,), the mean over all clips'
    frames. residual: (D,), E_r of the clips' own verb. verb: that verb. frozen: add `residual`
    itself, instead of E_r of the verb in each new prompt.
    """

    scope: Scope
    family: Family
    verb: str
    frozen: bool
    w1: Tensor
    w2: Tensor
    video_embed: Tensor
    residual: Tensor
    kind: str = "verb"
    rank: int | None = None

    def state_dict(self) -> dict[str, Tensor]:
        """w1, w2, video_embed and residual."""
        return {name: getattr(self, name) for name in _TENSORS}

    @property
    def options(self) -> Mapping[str, object]:
        """The verb, and whether its residual is frozen."""
        return {"verb": self.verb, "frozen": self.frozen}

    @classmethod
    def from_state_dict(
        cls,
        tensors: Mapping[str, Tensor],
        *,
        scope: Scope,
        family: Family,
        options: Mapping[str, object],
    ) -> VerbAdapter:
        """The inverse of `state_dict` and `options`; raises FormatError for any others."""
        verb, frozen = options.get("verb"), options.get("frozen")
        if len(options) != 2 or not isinstance(verb, str) or not isinstance(frozen, bool):
            raise FormatError(
                f"A motion enhancer has the options verb and frozen; got {dict(options)}. Save it "
                "again."
            )
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if shapes != _expected_shapes(shapes):
            raise FormatError(
                "A motion enhancer has w1 (H, V + D), w2 (D, H), video_embed (V,) and residual "
                f"(D,); got {shapes}. The file is damaged or in another format."
            )
        return cls(
            scope=scope,
            family=family,
            verb=verb,
            frozen=frozen,
            w1=tensors["w1"].float(),
            w2=tensors["w2"].float(),
            video_embed=tensors["video_embed"].float(),
            residual=tensors["residual"].float(),
        )

    def layers(self) -> tuple[str, ...]:
        """None: it changes prompts."""
        return ()

    def weight_changes(self) -> None:
        """None, either."""

    def scaled(self, strength: float) -> VerbAdapter:
        """strength · E_r, which is linear in W2."""
        return replace(self, w2=strength * self.w2, residual=strength * self.residual)

    def joins(self, other: Adapter) -> bool:
        """None: each has a verb of its own."""
        return False

    def joined(self, others: Sequence[Adapter]) -> VerbAdapter:
        """Itself, of no others."""
        check_joins(self, others, "each motion enhancer has its own verb")
        return self

    @contextmanager
    def applied(self, backbone: Backbone, strength: float) -> Iterator[None]:
        """Adds strength · E_r to the verb's tokens of every prompt that is encoded meanwhile.

        The verb is the one of training in any of its forms, else the prompt's own; a prompt without
        a verb stays as it is, which is logged. Raises AdapterError if the family differs or the
        prompts are of another width.
        """
        check_family(self.family, backbone.family)
        self.check_width(int(backbone.text.model.config.hidden_size))

        def change(prompts: Sequence[str], embeds: Tensor) -> Tensor:
            rows = [
                self._change(backbone.text, prompt, row)
                for prompt, row in zip(prompts, embeds, strict=True)
            ]
            return (strength * torch.stack(rows)).to(embeds.dtype)

        with backbone.text.changed(change):
            yield

    def check_width(self, width: int) -> None:
        """Raises AdapterError for prompts of another width."""
        if width != len(self.residual):
            raise AdapterError(
                f"The motion enhancer is for prompts of width {len(self.residual)}; these are "
                f"{width} wide. Use the base that the adapter was trained on, with its text "
                "encoder."
            )

    def change_at(self, embeds: Tensor, positions: Sequence[int]) -> Tensor:
        """E_r at these positions, zero elsewhere, (L, D) float32; embeds: (L, D), a prompt's."""
        on_device = {name: tensor.to(embeds.device) for name, tensor in self.state_dict().items()}
        change = on_device["residual"]
        if not self.frozen:
            base = verb_embed(embeds, positions)
            change = residual(on_device["w1"], on_device["w2"], on_device["video_embed"], base)
        return on_positions(change, positions, len(embeds))

    def _change(self, encoder: TextEncoder, prompt: str, embeds: Tensor) -> Tensor:
        """E_r at the verb's tokens, (L, D); embeds: (L, D)."""
        verb = verb_tokens(encoder, prompt, self.verb) or verb_tokens(encoder, prompt)
        if verb is None:
            if prompt:  # an empty one stands for no prompt at all
                logger.warning("%r has no verb to enhance; the motion may be weaker.", prompt)
            return torch.zeros_like(embeds, dtype=torch.float32)
        return self.change_at(embeds, verb.positions)


def _expected_shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The shapes that fit together, from the sizes that the tensors claim; empty without them."""
    if set(shapes) != set(_TENSORS) or any(not shape for shape in shapes.values()):
        return {}
    hidden, video, prompt = shapes["w1"][0], shapes["video_embed"][0], shapes["residual"][0]
    return {
        "w1": (hidden, video + prompt),
        "w2": (prompt, hidden),
        "video_embed": (video,),
        "residual": (prompt,),
    }
