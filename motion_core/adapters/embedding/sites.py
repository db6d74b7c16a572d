"""Where a motion embedding can go: the blocks of a video UNet's temporal transformers.

In: a network of either family. Out: each block's name, place, width and level, from the modules
alone, so that it works on the meta device too.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from torch import nn

Position = Literal["down", "up", "mid", "in"]


class EmbeddingSite(NamedTuple):
    """One block. name: in the network, "….transformer_blocks.0". position: "in" is ZeroScope's
    `transformer_in`. channels: C of its normalised hidden states. level: how often the latents have
    been halved there.
    """

    name: str
    position: Position
    channels: int
    level: int

    def positions(self, height: int, width: int) -> tuple[int, int]:
        """(h, w) at this level for latents of this height and width; each halving rounds up."""
        return -(-height // 2**self.level), -(-width // 2**self.level)


def embedding_sites(network: nn.Module) -> list[EmbeddingSite]:
    """All blocks of temporal transformers, in module order."""
    from ...backbones.temporal import TEMPORAL_TRANSFORMERS  # heavy

    down_blocks: Any = network.down_blocks
    sites = []
    for name, module in network.named_modules():
        if isinstance(module, TEMPORAL_TRANSFORMERS):
            position, level = place(name, len(down_blocks))
            blocks: Any = module.transformer_blocks
            sites += [
                EmbeddingSite(
                    f"{name}.transformer_blocks.{index}",
                    position,
                    int(block.norm1.normalized_shape[0]),
                    level,
                )
                for index, block in enumerate(blocks)
            ]
    return sites


def place(name: str, levels: int) -> tuple[Position, int]:
    """Position and level of a module by its name, in a network of so many levels.

    Every down block but the last halves the latents behind its transformers; up blocks mirror them.
    """
    part, _, rest = name.partition(".")
    if part == "transformer_in":
        return "in", 0
    if part == "mid_block":
        return "mid", levels - 1
    index = int(rest.partition(".")[0])
    return ("down", index) if part == "down_blocks" else ("up", levels - 1 - index)
