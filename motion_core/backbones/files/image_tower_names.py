"""CLIP image towers of transformers under the names that open_clip gives them.

In: an opened file with `vision_model.…` and `visual_projection.weight`, which is what ComfyUI's and
IPAdapter's users have in models/clip_vision (CLIPVisionModelWithProjection). Out: the same tensors
as `visual.…`: queries, keys and values as one matrix, the projection turned round.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from .tensors import TensorFile

_PREFIX, _LAYER = "vision_model.", re.compile(r"vision_model\.encoder\.layers\.(\d+)\.(.+)")
_OUTER = {
    "embeddings.class_embedding": "class_embedding",
    "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.patch_embedding.weight": "conv1.weight",
    "pre_layrnorm.weight": "ln_pre.weight",  # transformers' own spelling
    "pre_layrnorm.bias": "ln_pre.bias",
    "post_layernorm.weight": "ln_post.weight",
    "post_layernorm.bias": "ln_post.bias",
}
_INNER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_JOINED = tuple(f"self_attn.{part}_proj" for part in "qkv")


def in_open_clips_names(file: TensorFile) -> TensorFile:
    """The file as open_clip would have written it; one that has no tower of transformers as it is.

    What open_clip has no place for keeps its name under `visual.`, so that it is found unknown.
    """
    if not any(key.startswith(_PREFIX) for key in file.shapes):
        return file
    shapes: dict[str, tuple[int, ...]] = {}
    readers: dict[str, Callable[[], Tensor]] = {}
    for key, shape in file.shapes.items():
        if key == "visual_projection.weight":
            shapes["visual.proj"] = shape[::-1]
            readers["visual.proj"] = partial(_turned, file, key)
        elif key.startswith(_PREFIX) and not key.endswith(".position_ids"):
            name, parts = _place(key)
            if all(part in file.shapes for part in parts):
                shapes[name] = (len(parts) * shape[0], *shape[1:])
                readers[name] = partial(_joined, file, parts)
    return TensorFile(
        name=file.name, shapes=shapes, read=lambda name: readers[name](), metadata=file.metadata
    )


def _place(key: str) -> tuple[str, Sequence[str]]:
    """open_clip's name, and the keys whose tensors are joined under it."""
    layer = _LAYER.fullmatch(key)
    if layer is None:
        rest = key.removeprefix(_PREFIX)
        return f"visual.{_OUTER.get(rest, rest)}", [key]
    number, (path, _, kind) = layer[1], layer[2].rpartition(".")
    block = f"visual.transformer.resblocks.{number}."
    if path in _JOINED:
        start = key[: layer.start(2)]
        return f"{block}attn.in_proj_{kind}", [f"{start}{part}.{kind}" for part in _JOINED]
    return f"{block}{_INNER.get(path, path)}.{kind}", [key]


def _joined(file: TensorFile, parts: Sequence[str]) -> Tensor:
    return torch.cat([file.read(part) for part in parts])


def _turned(file: TensorFile, key: str) -> Tensor:
    return file.read(key).T
