"""What a LoRA file holds: which network it is for, which layers it changes, and which tensors
belong to none of them.

In: an opened file. Out: a `LoraContent`, from names and shapes alone. Whoever says what a LoRA is,
reads one or converts one, asks here, so that all of them see the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from ...errors import FormatError
from .lora_keys import WAN_OUTSIDE, LoraKey, lora_key
from .lora_networks import (
    LINEAR_IN_TRANSFORMER,
    SD2_PROMPT_WIDTH,
    SDXL_PROMPT_WIDTH,
    Network,
    joint_network,
    network_of_layer,
    network_of_tensor,
)
from .tensors import TensorFile


class LoraLayer(NamedTuple):
    """The keys of a layer's tensors in the file, and its rank. alpha: None is the rank."""

    down: str
    up: str
    alpha: str | None
    rank: int


@dataclass(frozen=True, kw_only=True)
class LoraContent:
    """networks: for each that the file has layers of, these by name.

    unmatched: tensors that are no part of such a layer, and why.
    """

    file: TensorFile
    networks: Mapping[Network, Mapping[str, LoraLayer]]
    unmatched: Mapping[str, str] = field(default_factory=dict)

    @property
    def main(self) -> Network:
        """The network that says where the file belongs; motion before all else."""
        found = self.networks or {network_of_tensor(key) for key in self.unmatched}
        return next((network for network in Network if network in found), Network.UNKNOWN)

    def broken(self, network: Network) -> dict[str, str]:
        """The tensors that are named for this network and are no part of a layer of it."""
        strange = {
            key: "it has no such layer"
            for layer in self.networks.get(Network.UNKNOWN, {}).values()
            for key in (layer.down, layer.up)
        }
        found = (strange | dict(self.unmatched)).items()
        return {key: why for key, why in found if network_of_tensor(key) is network}

    def is_linear(self, network: Network) -> bool:
        """Whether all layers of the network are matrices."""
        shapes = self.file.shapes
        layers = self.networks.get(network, {}).values()
        return all(len(shapes[layer.down]) == len(shapes[layer.up]) == 2 for layer in layers)

    def is_appearance(self) -> bool:
        """Whether the file changes matrices in the transformers of Stable Diffusion 1.5's UNet and
        nothing else.
        """
        layers = self.networks.get(Network.IMAGE_UNET, {})
        return (
            set(self.networks) == {Network.IMAGE_UNET}
            and not self.unmatched
            and all(LINEAR_IN_TRANSFORMER.fullmatch(name) for name in layers)
            and self.is_linear(Network.IMAGE_UNET)
        )


def lora_content(file: TensorFile) -> LoraContent | None:
    """What the file holds; None if it has no half of a LoRA's pair."""
    keys = {name: key for name in file.shapes if (key := lora_key(name))}
    if not any(
        key.part in ("down", "up") or key.kind in ("LoHa", "LoKr", "OFT") for key in keys.values()
    ):
        return None
    layers, unmatched = _layers(file, keys)
    unmatched |= {name: "no name of a LoRA's" for name in file.shapes if name not in keys}
    networks = _by_network(file, layers, keys)
    return LoraContent(
        file=file,
        networks=networks,
        unmatched={name: unmatched[name] for name in file.shapes if name in unmatched},
    )


def folded(file: TensorFile, layer: LoraLayer) -> tuple[Tensor, Tensor]:
    """A layer's matrices (down, up), float32, with alpha / rank in `up`.

    Raises FormatError for an alpha that is no finite number, and for matrices that are not floating
    point.
    """
    file.require_weights((layer.down, layer.up))
    down, up = (file.read(key).detach().float().clone() for key in (layer.down, layer.up))
    if layer.alpha is None:
        return down, up
    alpha = float(file.read(layer.alpha).reshape(()))
    if not math.isfinite(alpha):
        raise FormatError(
            f"{file.name}: {layer.alpha} is {alpha}; expected a finite number. The file is "
            "damaged. Download it again."
        )
    return down, up * (alpha / layer.rank)


def _layers(
    file: TensorFile, keys: Mapping[str, LoraKey]
) -> tuple[dict[tuple[bool, str], LoraLayer], dict[str, str]]:
    """Complete pairs by (of the text encoder, layer), and the tensors of all others with why."""
    parts: dict[tuple[bool, str], dict[str, list[str]]] = {}
    for name, key in keys.items():
        parts.setdefault((key.text, key.layer), {}).setdefault(key.part, []).append(name)
    layers: dict[tuple[bool, str], LoraLayer] = {}
    unmatched: dict[str, str] = {}
    for place, found in parts.items():
        problem = _problem(file, keys, found)
        if problem:
            unmatched |= {name: problem for names in found.values() for name in names}
            continue
        down, up = found["down"][0], found["up"][0]
        alpha = found.get("alpha", [None])[0]
        layers[place] = LoraLayer(down, up, alpha, file.shapes[down][0])
    return layers, unmatched


def _problem(
    file: TensorFile, keys: Mapping[str, LoraKey], found: Mapping[str, Sequence[str]]
) -> str | None:
    """Why a layer's tensors are no plain pair; None if they are."""
    if "other" in found:
        return f"{keys[found['other'][0]].kind}, not a pair of matrices"
    if set(found) == {"alpha"}:
        return "an alpha without its pair"
    missing = [part for part in ("down", "up") if part not in found]
    if missing:
        return f"half of a pair: its {missing[0]} matrix is missing"
    if twice := [part for part, names in found.items() if len(names) > 1]:
        return f"its layer has several {twice[0]} tensors"
    down, up = (file.shapes[found[part][0]] for part in ("down", "up"))
    if len(down) < 2 or len(up) < 2 or down[0] != up[1] or not all((*down, *up)):
        return f"its matrices {down} and {up} do not fit together: (rank, in) and (out, rank)"
    alpha = found.get("alpha")
    if alpha and file.shapes[alpha[0]] not in ((), (1,)):
        return f"its alpha has the shape {file.shapes[alpha[0]]}, not one number"
    return None


def _by_network(
    file: TensorFile,
    layers: Mapping[tuple[bool, str], LoraLayer],
    keys: Mapping[str, LoraKey],
) -> dict[Network, dict[str, LoraLayer]]:
    networks: dict[Network, dict[str, LoraLayer]] = {}
    for (of_text, name), layer in layers.items():
        network = Network.TEXT_ENCODER if of_text else network_of_layer(name)
        networks.setdefault(network, {})[name] = layer
    # A name that other transformers have too.
    if Network.WAN in networks and "proj_out" in networks.get(Network.UNKNOWN, {}):
        networks[Network.WAN][WAN_OUTSIDE["proj_out"]] = networks[Network.UNKNOWN].pop("proj_out")
    second = any(_is_second(keys[layer.down]) for layer in layers.values())
    _settle(networks, Network.IMAGE_UNET, _image_network(file, networks, second))
    _settle(
        networks, Network.FLUX_OR_HUNYUAN, joint_network(networks.get(Network.FLUX_OR_HUNYUAN, {}))
    )
    return networks


def _is_second(key: LoraKey) -> bool:
    return key.text and ("_2." in key.prefix or "te2_" in key.prefix)


def _settle(networks: dict[Network, dict[str, LoraLayer]], rough: Network, exact: Network) -> None:
    """Puts a network's layers under the exact name of it."""
    if rough in networks and exact is not rough:
        networks[exact] = networks.pop(rough)


def _image_network(
    file: TensorFile, networks: Mapping[Network, Mapping[str, LoraLayer]], second: bool
) -> Network:
    """By the prompt's width, the depth of the transformers, and the text encoders."""
    layers = networks.get(Network.IMAGE_UNET, {})
    widths = {
        file.shapes[layer.down][1]
        for name, layer in layers.items()
        if re.search(r"attn2\.to_[kv]$", name)
    }
    deep = any(re.search(r"transformer_blocks\.[1-9]", name) for name in layers)
    if second or deep or SDXL_PROMPT_WIDTH in widths:
        return Network.SDXL_UNET
    return Network.SD2_UNET if SD2_PROMPT_WIDTH in widths else Network.IMAGE_UNET
