"""A motion embedding as data: what is added to the inputs of temporal attention.

In: three tensors a block, float32 on the CPU. Out: the base with them, and back. Paper: Wang et
al., "Motion Inversion for Video Customization", SIGGRAPH 2025 (arXiv 2403.20193), Eq. 2, 3 and 5.
Reference: EnVision-Research/MotionInversion 31ed7fb, models/unet/motion_embeddings.py.

Tensors are (h, w, N, C), the paper's (H·W, N, C) with its rows apart, or (1, 1, N, C) where all
positions share one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...backbones.base import Backbone, Family
from ...errors import AdapterError, FormatError
from ...settings import require
from ..base import Adapter, Scope, check_family, check_joins, check_shape
from .debias import Debias, debiased
from .hooks import BlockShifts, Shift, Size, find_block, shifted_attention

logger = logging.getLogger(__name__)

# Trilinear interpolation reads the two nearest neighbours along an axis: made smaller than half,
# some of what was learned is never read; made larger than twice, most places have no value of
# their own, and there is no motion at that scale to play.
MAX_STRETCH = 2.0

_KEY = re.compile(r"(.+\.transformer_blocks\.\d+)\.(qk|attn1\.v|attn2\.v)")
_PARTS = ("qk", "attn1.v", "attn2.v")


class BlockEmbedding(NamedTuple):
    """One block's. qk: m_QK, shared by attn1 and attn2. v1, v2: m_V of attn1 and of attn2. Each is
    (h, w, N, C) or (1, 1, N, C).
    """

    qk: Tensor
    v1: Tensor
    v2: Tensor


@dataclass(frozen=True, kw_only=True)
class EmbeddingAdapter:
    """A trained motion embedding. blocks: by the block's full name in the network.

    debias: what is done to m_V before it is used. "difference", Eq. 5, keeps what changes from
    frame to frame, for the motion of objects; "drop_value" leaves m_V out, for the motion of the
    camera; "normalise" takes the mean over the frames off; "none" uses it as it was learned.
    `dataclasses.replace` changes it.
    """

    family: Family
    blocks: Mapping[str, BlockEmbedding]
    debias: Debias = "difference"
    scope: Scope = "temporal"
    kind: str = "embedding"
    rank: int | None = None

    def __post_init__(self) -> None:
        require(self.debias in get_args(Debias), "debias", self.debias, _choices())

    def state_dict(self) -> dict[str, Tensor]:
        """ "<block>.qk", "<block>.attn1.v" and "<block>.attn2.v" of every block."""
        return {
            f"{name}.{part}": values
            for name, block in self.blocks.items()
            for part, values in zip(_PARTS, block, strict=True)
        }

    @property
    def options(self) -> Mapping[str, object]:
        """debias."""
        return {"debias": self.debias}

    @classmethod
    def from_state_dict(
        cls,
        tensors: Mapping[str, Tensor],
        *,
        scope: Scope,
        family: Family,
        options: Mapping[str, object],
    ) -> EmbeddingAdapter:
        """The inverse of `state_dict` and `options`; raises FormatError for other names, shapes or
        options.
        """
        debias = options.get("debias")
        if set(options) != {"debias"} or debias not in get_args(Debias):
            raise FormatError(
                f"A motion embedding has one option, debias ({_choices()}); got {dict(options)!r}. "
                "Save or download it again."
            )
        found: dict[str, dict[str, Tensor]] = {}
        for key, values in tensors.items():
            match = _KEY.fullmatch(key)
            if match is None:
                raise FormatError(
                    f"{key!r} is not a tensor of a motion embedding: expected names that end in "
                    f"{', '.join(_PARTS)}. The file is damaged or in another format."
                )
            found.setdefault(match[1], {})[match[2]] = values.to("cpu", torch.float32)
        blocks = {name: _block(name, parts) for name, parts in found.items()}
        return cls(scope=scope, family=family, blocks=blocks, debias=debias)  # type: ignore[arg-type]

    def layers(self) -> list[str]:
        """attn1 and attn2 of every block."""
        return [f"{name}.{attention}" for name in self.blocks for attention in ("attn1", "attn2")]

    def weight_changes(self) -> None:
        """None: it adds to what the layers are given."""

    def scaled(self, strength: float) -> EmbeddingAdapter:
        """strength · m, as debias is linear."""
        blocks = {
            name: BlockEmbedding(*(strength * values for values in block))
            for name, block in self.blocks.items()
        }
        return replace(self, blocks=blocks)

    def joins(self, other: Adapter) -> bool:
        """Embeddings of the same debias, in the same sizes: interpolation is linear then."""
        return (
            isinstance(other, EmbeddingAdapter)
            and other.debias == self.debias
            and all(
                mine.shape == theirs.shape
                for name in self.blocks.keys() & other.blocks.keys()
                for mine, theirs in zip(self.blocks[name], other.blocks[name], strict=True)
            )
        )

    def joined(self, others: Sequence[Adapter]) -> EmbeddingAdapter:
        """The sum, block by block."""
        check_joins(self, others, "only embeddings of the same size and debias can be added")
        blocks = dict(self.blocks)
        for other in others:
            assert isinstance(other, EmbeddingAdapter)  # check_joins has seen to it
            for name, block in other.blocks.items():
                mine = blocks.get(name)
                pairs = zip(mine, block, strict=True) if mine else ()
                blocks[name] = BlockEmbedding(*(a + b for a, b in pairs)) if mine else block
        return replace(self, blocks=blocks)

    @contextmanager
    def applied(self, backbone: Backbone, strength: float) -> Iterator[None]:
        """Adds strength · m_QK and strength · m̃_V, for conditional and unconditional predictions
        alike; several embeddings add up, and LoRAs on the same layers see the sum.

        Raises AdapterError if the family differs or a block is missing or of another width, before
        the base is touched; and from a prediction whose size is more than MAX_STRETCH off.
        """
        check_family(self.family, backbone.family)
        self.check_widths(backbone.network)
        with shifted_attention(backbone.network, self.shifts(strength)):
            yield

    def check_widths(self, network: nn.Module) -> None:
        """Raises AdapterError if a block is missing in `network` or of another width."""
        for name, block in self.blocks.items():
            norm: Any = find_block(network, name).norm1
            check_shape(name, norm.normalized_shape, block.qk.shape[-1:])

    def shifts(self, strength: float) -> dict[str, BlockShifts]:
        """What `shifted_attention` adds, by block; the last size of each is kept, on its device."""
        told: set[tuple[object, Size]] = set()
        return {name: self._shifts(block, strength, told) for name, block in self.blocks.items()}

    def _shifts(
        self, block: BlockEmbedding, strength: float, told: set[tuple[object, Size]]
    ) -> BlockShifts:
        qk = _shift(block.qk, "none", strength, told)
        if self.debias == "drop_value":
            return BlockShifts(qk, None, None)
        v1, v2 = (_shift(v, self.debias, strength, told) for v in (block.v1, block.v2))
        return BlockShifts(qk, v1, v2)


def with_debias(adapters: Mapping[str, Adapter], debias: Debias) -> dict[str, EmbeddingAdapter]:
    """The embeddings among the adapters, debiased in this way; empty where there is none."""
    return {
        name: replace(adapter, debias=debias)
        for name, adapter in adapters.items()
        if isinstance(adapter, EmbeddingAdapter)
    }


def resized(values: Tensor, size: Size) -> Tensor:
    """An embedding (h, w, N, C) for other positions and frames, interpolated linearly along all
    three; (1, 1, N, C) is shared by all positions and only follows the frames.

    Raises AdapterError if an axis is stretched or squeezed by more than MAX_STRETCH.
    """
    made = Size(*values.shape[:3])
    size = _size_for(values, size)
    if made == size:
        return values
    stretches = [max(new / old, old / new) for new, old in zip(size, made, strict=True)]
    if max(stretches) > MAX_STRETCH:
        raise AdapterError(
            f"The motion embedding was trained on {_words(made)}, but this video has "
            f"{_words(size)} there. Interpolation allows up to {MAX_STRETCH:g} times more or "
            "fewer along each: choose a size and number of frames closer to the reference "
            "clip's."
        )
    moved = values.permute(3, 2, 0, 1)[None]
    moved = F.interpolate(
        moved, (size.frames, size.height, size.width), mode="trilinear", align_corners=False
    )
    return moved[0].permute(2, 3, 1, 0)


def _shift(
    values: Tensor,
    debias: Literal["difference", "normalise", "none"],
    strength: float,
    told: set[tuple[object, Size]],
) -> Shift:
    """Interpolated first and debiased after, as in the official code: at twice the frames, each
    step is half as large. Every step of a sampler has the same size, so the last one is kept.
    """

    @lru_cache(maxsize=1)
    def shift(size: Size, device: torch.device, dtype: torch.dtype) -> Tensor:
        moved = debiased(resized(values.to(device), size), debias)
        made, needed = Size(*values.shape[:3]), _size_for(values, size)
        if made != needed and (made, needed) not in told:
            told.add((made, needed))
            logger.warning(
                "The motion embedding is interpolated from %s to %s.", _words(made), _words(needed)
            )
        return (strength * moved).flatten(0, 1).to(dtype)

    return shift


def _size_for(values: Tensor, size: Size) -> Size:
    """The size that the values need: one position serves all."""
    return size._replace(height=1, width=1) if values.shape[:2] == (1, 1) else size


def _block(name: str, parts: Mapping[str, Tensor]) -> BlockEmbedding:
    shapes = {part: tuple(values.shape) for part, values in parts.items()}
    alike = len({shape[2:] for shape in shapes.values()}) == 1
    if (
        set(parts) != set(_PARTS)
        or any(len(s) != 4 or 0 in s for s in shapes.values())
        or not alike
    ):
        raise FormatError(
            f"Block {name} has {shapes}; expected {', '.join(_PARTS)} of shape (h, w, frames, "
            "channels) with the same frames and channels. The file is damaged."
        )
    return BlockEmbedding(*(parts[part] for part in _PARTS))


def _words(size: Size) -> str:
    return f"{size.width}x{size.height} positions and {size.frames} frames"


def _choices() -> str:
    return " or ".join(map(repr, get_args(Debias)))
