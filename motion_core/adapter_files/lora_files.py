"""LoRA files of any program as adapters.

In: an opened file. Out: `LoraAdapter`s by name, "temporal" for the layers of motion and "spatial.0"
for those of images, with alpha / rank in `up`. Which names are read, `backbones.files.lora_keys`
says.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from ..adapters.lora.adapter import LoraAdapter
from ..adapters.lora.keys import LoraPair
from ..backbones.base import Family
from ..backbones.families import ANIMATEDIFF, ZEROSCOPE
from ..backbones.files.kinds import role_of
from ..backbones.files.lora_content import LoraContent, LoraLayer, folded, lora_content
from ..backbones.files.lora_networks import Network
from ..backbones.files.roles import Role
from ..backbones.files.tensors import TensorFile, open_tensors
from ..errors import FormatError

logger = logging.getLogger(__name__)

FAMILIES_OF_LORAS: Mapping[Role, Family] = {
    Role.MOTION_LORA: ANIMATEDIFF,
    Role.APPEARANCE_LORA: ANIMATEDIFF,
    Role.VIDEO_LORA: ZEROSCOPE,
}
"""The LoRAs that are read as adapters, and the bases that they fit."""
_MOTION = {ANIMATEDIFF: Network.MOTION_MODULE, ZEROSCOPE: Network.VIDEO_UNET}


def read_lora(file: TensorFile) -> dict[str, LoraAdapter]:
    """The adapters of a file of a role in `FAMILIES_OF_LORAS`, float32 on the CPU.

    Tensors of other networks are left out with a warning. Raises FormatError for tensors of motion
    layers that cannot be applied, and if no layer is left.
    """
    content = lora_content(file)
    assert content is not None, file.name  # its role says so
    family = FAMILIES_OF_LORAS[role_of(file)]
    motion = _MOTION[family]
    _refuse_broken(content, motion)
    adapters: dict[str, LoraAdapter] = {}
    if layers := content.networks.get(motion):
        pairs = _matrices(content, motion, layers)
        adapters["temporal"] = LoraAdapter(scope="temporal", family=family, pairs=pairs)
    looks = content.networks.get(Network.IMAGE_UNET)
    if looks and content.is_linear(Network.IMAGE_UNET):
        pairs = _matrices(content, Network.IMAGE_UNET, looks)
        adapters["spatial.0"] = LoraAdapter(scope="spatial", family=family, pairs=pairs)
    if not adapters:
        raise FormatError(
            f"{file.name} has no complete layer of {motion.value}. The file is damaged or in "
            "another format; inspect lists its tensors."
        )
    _warn_of_the_rest(content, adapters)
    return adapters


def import_animatediff_lora(path: Path) -> LoraAdapter:
    """The motion of a motion LoRA file, in the names of any program; ours among them.

    Raises FormatError if there is none, or as `read_lora`.
    """
    file = open_tensors(path)
    if role_of(file) is not Role.MOTION_LORA:
        raise FormatError(
            f"{path.name} contains no tensors of a motion module. Choose an AnimateDiff motion "
            "LoRA."
        )
    return read_lora(file)["temporal"]


def _matrices(
    content: LoraContent, network: Network, layers: Mapping[str, LoraLayer]
) -> dict[str, LoraPair]:
    shapes = content.file.shapes
    for name, layer in layers.items():
        if len(shapes[layer.down]) != 2 or len(shapes[layer.up]) != 2:
            raise FormatError(
                f"{content.file.name} changes {name} of {network.value}, a convolution; adapters "
                "here change matrices alone. Apply it with the program that made it."
            )
    return {name: LoraPair(*folded(content.file, layer)) for name, layer in layers.items()}


def _refuse_broken(content: LoraContent, network: Network) -> None:
    broken = content.broken(network)
    if broken:
        key, why = next(iter(broken.items()))
        raise FormatError(
            f"{content.file.name}: {len(broken)} of {len(content.file.shapes)} tensors are not "
            f"LoRA pairs of {network.value}, for example {key}: {why}. The file is damaged or in "
            "another format."
        )


def _warn_of_the_rest(content: LoraContent, adapters: Mapping[str, LoraAdapter]) -> None:
    used = {name for adapter in adapters.values() for name in adapter.pairs}
    rest = [
        layer.down
        for layers in content.networks.values()
        for name, layer in layers.items()
        if name not in used
    ]
    rest += content.unmatched
    if rest:
        logger.warning(
            "%s: %d tensors belong to none of the layers that are used and are left out, such "
            "as %s.",
            content.file.name,
            len(rest),
            rest[0],
        )
