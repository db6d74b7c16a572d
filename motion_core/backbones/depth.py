"""Parameters of a video UNet by what they do and how deep they lie, for methods that train whole
weights.

In: a UNet of either family. Out: full parameter names, in module order. A UNet of n levels has
`down_blocks.0` (the finest) to `down_blocks.n-1`, `mid_block`, and `up_blocks.0` (the coarsest) to
`up_blocks.n-1`.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from .sites import Blocks


def temporal_parameter_names(unet: nn.Module) -> list[str]:
    """All of the temporal transformers (`transformer_in` included) and temporal convolutions: in
    AnimateDiff the motion modules.
    """
    from diffusers.models.resnet import TemporalConvLayer  # heavy

    from .temporal import TEMPORAL_TRANSFORMERS

    modules = (*TEMPORAL_TRANSFORMERS, TemporalConvLayer)
    return [
        f"{path}.{name}"
        for path, module in unet.named_modules()
        if isinstance(module, modules)
        for name, _ in module.named_parameters()
    ]


def spatial_attention_parameter_names(unet: nn.Module) -> list[str]:
    """attn1 of the spatial transformers: the attention over width and height."""
    from diffusers.models.transformers.transformer_2d import Transformer2DModel  # heavy

    return [
        f"{path}.{name}"
        for path, module in unet.named_modules()
        if isinstance(module, Transformer2DModel)
        for name, _ in module.named_parameters()
        if ".attn1." in name
    ]


def in_blocks(names: Iterable[str], blocks: Blocks, unet: nn.Module) -> list[str]:
    """Those of the names (of parameters or modules) that lie in the chosen blocks.

    deep: the middle and the coarser half of the levels, rounded down but at least one. Of four
    levels that is down 2 and 3, mid, up 0 and 1; of two, down 1, mid, up 0. `transformer_in`, ahead
    of all levels, is not deep.
    """
    if blocks == "all":
        return list(names)
    levels = len(list(unet.get_submodule("down_blocks").children()))
    return [name for name in names if _is_deep(name, levels)]


def _is_deep(name: str, levels: int) -> bool:
    deep = max(1, levels // 2)
    first, *rest = name.split(".")
    if first == "down_blocks":
        return int(rest[0]) >= levels - deep
    if first == "up_blocks":
        return int(rest[0]) < deep
    return first == "mid_block"
