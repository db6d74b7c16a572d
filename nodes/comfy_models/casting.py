"""ComfyUI's layers in a diffusers network, so that it casts weights as ComfyUI's own networks do.

In: a network of plain torch layers. Out: the same network, whose layers take their weights from
another device (lowvram) or another dtype (fp8, fp16 on a machine that computes in float32) at each
call. Source: comfy/ops.py of ComfyUI 0.8.0 and 0.33.0.
"""

from __future__ import annotations

from typing import Any

from torch import nn

_LAYERS: tuple[type[nn.Module], ...] = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.Embedding,
)


def use_casting_layers(root: nn.Module, operations: Any) -> None:
    """Makes every layer of `root` one of ComfyUI's, for good; parameters and names stay.

    operations: what `comfy.ops.pick_operations` gives. The modules' classes are replaced: these
    classes add no state to an instance, and hooks, copies and names work as on any module.
    """
    classes = {layer: getattr(operations, layer.__name__) for layer in _LAYERS}
    casting = tuple(classes.values())
    for name, module in root.named_modules():
        if type(module) in classes:
            module.__class__ = classes[type(module)]
        own = next(module.parameters(recurse=False), None)
        assert own is None or isinstance(module, casting), f"{name} cannot cast its parameters"
