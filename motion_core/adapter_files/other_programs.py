"""LoRAs in other programs' formats: tensors by the names that their loaders look for.

In: a `LoraAdapter`, or a LoRA file in any program's names. Out: tensors for `write_tensors` of
backbones/files. alpha is baked into `up` everywhere; where a format wants an alpha, it is the rank.
`lora_files` reads all of them back.

| program                              | format       | from                                   |
|--------------------------------------|--------------|----------------------------------------|
| AnimateDiff, AnimateDiff-Evolved     | animatediff  | temporal LoRAs of AnimateDiff          |
| diffusers (`load_lora_weights`)      | diffusers    | any LoRA of AnimateDiff; Wan           |
| ComfyUI's Load LoRA                  | comfyui      | spatial LoRAs of AnimateDiff; Wan      |
| kohya's sd-scripts, A1111; musubi    | kohya        | spatial LoRAs of AnimateDiff; Wan      |
| peft (`inject_adapter_in_model`)     | peft         | any; the only way for ZeroScope        |

diffusers (0.42.1) does not load AnimateDiff's names, and has no LoRA loader for ZeroScope's class,
UNet3DConditionModel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..adapters.lora.adapter import LoraAdapter
from ..adapters.lora.keys import LoraPair
from ..backbones.families import ANIMATEDIFF
from ..backbones.files.kinds import LORA_METADATA
from ..backbones.files.lora_content import LoraContent, folded
from ..backbones.files.lora_networks import Network
from ..backbones.files.lora_programs import HAS_ALPHA, formats_of, written_names
from ..errors import AdapterError, FormatError


@dataclass(frozen=True, kw_only=True)
class RenamedLora:
    """A LoRA file under another program's names. left_out: tensors of the file that are not in it,
    and why.
    """

    tensors: Mapping[str, Tensor]
    left_out: Mapping[str, str]


def exported(adapter: LoraAdapter, to: str) -> dict[str, Tensor]:
    """A trained LoRA's tensors in a format; to: a name in `formats.FORMATS`.

    Raises AdapterError for a format that has no names for its layers.
    """
    motion = adapter.scope == "temporal"
    if adapter.family == ANIMATEDIFF:
        network = Network.MOTION_MODULE if motion else Network.IMAGE_UNET
    else:
        network = Network.VIDEO_UNET
    if to not in formats_of(network):
        raise AdapterError(
            f"This is a {adapter.scope} LoRA for {adapter.family}, which {to} has no names for. "
            f"Choose {' or '.join(formats_of(network))}."
        )
    return _tensors(network, adapter.pairs, to)


def export_metadata(adapter: LoraAdapter) -> dict[str, str]:
    """The header of such a file: names alone do not say for which base a LoRA was trained."""
    return {"format": "pt", LORA_METADATA: f"{adapter.family} {adapter.scope}"}


def renamed(content: LoraContent, to: str) -> RenamedLora:
    """A LoRA file's tensors in another format, float32; to: a name in `formats.FORMATS`.

    Raises FormatError if the format has no names for the file's network, or if tensors of it are no
    pairs.
    """
    network = content.main
    name = content.file.name
    if to not in formats_of(network):
        known = " or ".join(formats_of(network)) or "none"
        raise FormatError(
            f"{name} is a LoRA for {network.value}, which cannot be saved in the format {to}. "
            f"Formats for it: {known}."
        )
    if broken := content.broken(network):
        key, why = next(iter(broken.items()))
        raise FormatError(
            f"{name}: {len(broken)} tensors are no pairs of matrices, for example {key}: {why}. "
            "Only LoRAs of two matrices can be converted."
        )
    tensors: dict[str, Tensor] = {}
    left_out = dict(content.unmatched)
    for part, layers in content.networks.items():
        if to in formats_of(part):
            pairs = {layer: LoraPair(*folded(content.file, keys)) for layer, keys in layers.items()}
            tensors |= _tensors(part, pairs, to)
            continue
        left_out |= {
            key: f"{to} has no names for {part.value}"
            for keys in layers.values()
            for key in (keys.down, keys.up)
        }
    return RenamedLora(tensors=tensors, left_out=left_out)


def left_out_lines(source: str, left_out: Mapping[str, str]) -> Sequence[str]:
    """What a renamed file lacks, for people; one line a reason."""
    reasons: dict[str, list[str]] = {}
    for key, why in left_out.items():
        reasons.setdefault(why, []).append(key)
    return [
        f"{source}: {len(keys)} tensors were left out ({why}), such as {keys[0]}"
        for why, keys in reasons.items()
    ]


def _tensors(network: Network, pairs: Mapping[str, LoraPair], to: str) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for layer, names in written_names(network, pairs, to).items():
        tensors |= dict(zip(names, pairs[layer], strict=True))
        if to in HAS_ALPHA and names[0].endswith(".lora_down.weight"):
            stem = names[0].removesuffix(".lora_down.weight")
            tensors[f"{stem}.alpha"] = torch.tensor(float(pairs[layer].down.shape[0]))
    return tensors
