"""LoRAs in other programs' formats: tensors by the names that their loaders look for.

In: a `LoraAdapter`. Out: tensors for `write_tensors` of backbones/files; and a motion LoRA file
back in. alpha is baked into `up` everywhere, so no format here has an ".alpha" tensor.

| program                              | function            | from                             |
|--------------------------------------|---------------------|----------------------------------|
| AnimateDiff, AnimateDiff-Evolved     | `animatediff_lora`  | temporal LoRAs of AnimateDiff    |
| diffusers (`load_lora_weights`)      | `diffusers_lora`    | any LoRA of AnimateDiff          |
| ComfyUI's LoRA loaders, SD1.5 models | `diffusers_lora`    | spatial LoRAs of AnimateDiff     |
| peft (`inject_adapter_in_model`)     | `peft_lora`         | any; the only way for ZeroScope  |

diffusers (0.42.1) does not load AnimateDiff's names, and has no LoRA loader for ZeroScope's class,
UNet3DConditionModel.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from ..adapters.lora.adapter import LoraAdapter
from ..adapters.lora.keys import (
    LoraPair,
    from_keys,
    lora_names,
    to_keys,
)
from ..backbones.families import ANIMATEDIFF
from ..backbones.files.lora_names import ANIMATEDIFF_NAMES, PEFT_NAMES
from ..backbones.files.tensors import open_tensors
from ..errors import AdapterError, FormatError

logger = logging.getLogger(__name__)


def animatediff_lora(adapter: LoraAdapter) -> dict[str, Tensor]:
    """A motion LoRA for AnimateDiff and AnimateDiff-Evolved.

    Raises AdapterError unless it is a temporal LoRA of AnimateDiff.
    """
    if lora_names(adapter.scope, adapter.family) != ANIMATEDIFF_NAMES:
        raise AdapterError(
            f"This is a {adapter.scope} LoRA for {adapter.family}; a motion LoRA is a temporal "
            "LoRA for animatediff. Export it in diffusers' or peft's format."
        )
    return to_keys(adapter.pairs, ANIMATEDIFF_NAMES)


def diffusers_lora(adapter: LoraAdapter) -> dict[str, Tensor]:
    """A LoRA for diffusers' pipelines; a spatial one is also an SD1.5 LoRA for ComfyUI.

    The names are those that both loaders know: "….processor.to_q_lora.down.weight" in attention,
    "….lora.down.weight" elsewhere (diffusers utils/state_dict_utils.py, UNET_TO_DIFFUSERS; ComfyUI
    00728eb, comfy/lora.py, model_lora_keys_unet, and 0323d87, comfy/weight_adapter/lora.py).
    Raises AdapterError for a LoRA of ZeroScope, which diffusers cannot load.
    """
    if adapter.family != ANIMATEDIFF:
        raise AdapterError(
            f"diffusers cannot load LoRAs into {adapter.family}'s UNet. Export it in peft's format."
        )
    return {
        f"unet.{_diffusers_name(layer)}.{part}.weight": matrix
        for layer, pair in adapter.pairs.items()
        for part, matrix in zip(("down", "up"), pair, strict=True)
    }


def peft_lora(adapter: LoraAdapter) -> dict[str, Tensor]:
    """A LoRA for peft, by the layers' names in the UNet: r = alpha = the adapter's rank.

    Load with `inject_adapter_in_model(config, unet, state_dict=tensors)` and
    `set_peft_model_state_dict(unet, tensors)`.
    """
    return to_keys(adapter.pairs, PEFT_NAMES)


EXPORTS: Mapping[str, Callable[[LoraAdapter], dict[str, Tensor]]] = {
    "animatediff": animatediff_lora,
    "diffusers": diffusers_lora,
    "peft": peft_lora,
}
"""The tensors of each of `formats.FORMATS`."""


def import_animatediff_lora(path: Path) -> LoraAdapter:
    """Reads a motion LoRA with AnimateDiff's names, `.safetensors` or `.ckpt`; ours have them too.

    Like AnimateDiff-Evolved it leaves out tensors without "temporal" in their names. Raises
    FormatError if none is left, or for names of another format.
    """
    file = open_tensors(path)
    names = [name for name in file.shapes if "temporal" in name]
    if not names:
        raise FormatError(
            f"{path.name} contains no tensors of a motion module. Choose an AnimateDiff motion "
            "LoRA."
        )
    if len(names) < len(file.shapes):
        logger.info("%s: %d tensors skipped", path.name, len(file.shapes) - len(names))
    pairs = {
        layer: LoraPair(*(matrix.float().clone() for matrix in pair))
        for layer, pair in from_keys({n: file.read(n) for n in names}, ANIMATEDIFF_NAMES).items()
    }
    return LoraAdapter(scope="temporal", family=ANIMATEDIFF, pairs=pairs)


def _diffusers_name(layer: str) -> str:
    parent, _, linear = layer.removesuffix(".0").rpartition(".")
    return f"{parent}.processor.{linear}_lora" if linear.startswith("to_") else f"{layer}.lora"
