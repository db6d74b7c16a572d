"""The weights of a ModelPatcher with its patches on them, without touching it.

In: a ModelPatcher, loaded or not. Out: for each tensor its source, and from a source the tensor as
a KSampler would use it, in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import comfy.lora
import comfy.model_management as management
import torch
from comfy.model_patcher import ModelPatcher, get_key_weight
from torch import Tensor

Source = Sequence[Any]
"""[(weight without patches, how it is unpacked), *patches]."""


def sources_of(patcher: ModelPatcher, prefix: str, new_prefix: str) -> dict[str, Source]:
    """Weights and biases by their keys in a checkpoint. What quantised layers keep beside them
    (scales, formats) is used when they are unpacked.
    """
    with _without_injections(patcher):
        return {
            new_prefix + key.removeprefix(prefix): _source(patcher, key)
            for key in patcher.model_state_dict(prefix)
            if key.endswith((".weight", ".bias"))
        }


def _source(patcher: ModelPatcher, key: str) -> Source:
    """`ModelPatcher.get_key_patches` of one key; that of all fails where a layer is quantised."""
    weight, _, unpack = get_key_weight(patcher.model, key)
    if key in patcher.backup:  # what lies in the network is patched
        weight = patcher.backup[key].weight
    if key in patcher.hook_backup:
        weight = patcher.hook_backup[key][0]
    return [(weight, unpack or unpacked), *patcher.patches.get(key, [])]


def patched(source: Source, key: str) -> Tensor:
    """The weight with its patches, float32 on the CPU, a tensor of its own."""
    (weight, unpack), *patches = source
    tensor = management.cast_to_device(weight, torch.device("cpu"), torch.float32, copy=True)
    return comfy.lora.calculate_weight(patches, unpack(tensor, inplace=True), key)


def unpacked(weight: Tensor, inplace: bool = False) -> Tensor:
    """The weight of a layer that has it as it is."""
    return weight


@contextmanager
def _without_injections(patcher: ModelPatcher) -> Iterator[None]:
    """Modules that a clone of the patcher has put into the shared network, such as motion modules,
    stay there until another clone is loaded; they are out meanwhile.
    """
    with ExitStack() as stack:
        for loaded in management.current_loaded_models:
            if loaded.model is not None and loaded.model.is_clone(patcher):
                stack.enter_context(loaded.model.use_ejected())
        yield
