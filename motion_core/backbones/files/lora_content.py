"""What a LoRA file holds: which network it is for, which layers it changes, and which tensors
belong to none of them.

In: an opened file. Out: a `LoraContent`, from names and shapes alone. Whoever says what a LoRA is,
reads one or converts one, asks here, so that all of them see the same.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from torch import Tensor

from ...errors import FormatError
from .lora_keys import WAN_OUTSIDE, LoraKey, lora_key
from .tensors import TensorFile

SD2_PROMPT_WIDTH, SDXL_PROMPT_WIDTH = 1024, 2048
# Numbers of blocks that Flux does not have and HunyuanVideo does: 20 and 40 against 19 and 38.
_FLUX_DOUBLE, _FLUX_SINGLE = 19, 38


class Network(Enum):
    """What a LoRA is for. The value is its name for people."""

    MOTION_MODULE = "AnimateDiff's motion module"
    VIDEO_UNET = "ZeroScope or ModelScope"
    IMAGE_UNET = "Stable Diffusion 1.5"
    SD2_UNET = "Stable Diffusion 2"
    SDXL_UNET = "Stable Diffusion XL"
    WAN = "Wan"
    LTX = "LTX-Video"
    HUNYUAN = "HunyuanVideo"
    FLUX = "Flux"
    FLUX_OR_HUNYUAN = "Flux or HunyuanVideo"
    TEXT_ENCODER = "a CLIP text encoder"
    UNKNOWN = "a network unknown to this package"


_UNET_BLOCK = r"(?:(?:down|up)_blocks\.\d+|mid_block)\."
_TRANSFORMER_PART = r"(?:attn[12]\.(?:to_[qkv]|to_out\.0)|ff\.net\.(?:0\.proj|2))"
_PATTERNS: Sequence[tuple[Network, re.Pattern[str]]] = (
    (
        Network.MOTION_MODULE,
        re.compile(
            rf"{_UNET_BLOCK}motion_modules\.\d+\."
            rf"(?:proj_in|proj_out|transformer_blocks\.\d+\.{_TRANSFORMER_PART})"
        ),
    ),
    (
        Network.VIDEO_UNET,
        re.compile(
            rf"(?:transformer_in|{_UNET_BLOCK}temp_attentions\.\d+)\."
            rf"(?:proj_in|proj_out|transformer_blocks\.\d+\.{_TRANSFORMER_PART})"
            rf"|{_UNET_BLOCK}temp_convs\.\d+\.conv\d\.\d+"
        ),
    ),
    (
        Network.IMAGE_UNET,
        re.compile(
            rf"{_UNET_BLOCK}attentions\.\d+\."
            rf"(?:proj_in|proj_out|transformer_blocks\.\d+\.{_TRANSFORMER_PART})"
            rf"|{_UNET_BLOCK}resnets\.\d+\.(?:conv1|conv2|conv_shortcut|time_emb_proj)"
            rf"|{_UNET_BLOCK}(?:down|up)samplers\.0\.conv|conv_in|conv_out"
            r"|time_embedding\.linear_[12]|(?:input_blocks|output_blocks|middle_block)\..+"
        ),
    ),
    (
        Network.WAN,
        re.compile(
            r"blocks\.\d+\.(?:(?:self|cross)_attn\.(?:q|k|v|o|k_img|v_img)|ffn\.[02])"
            r"|head\.head|(?:text|time)_embedding\.[02]|time_projection\.1|patch_embedding"
            r"|img_emb\.proj\.[13]|blocks\.\d+\.(?:self|cross)_attn\.norm_\w+"
        ),
    ),
    (
        Network.LTX,
        re.compile(
            r"transformer_blocks\.\d+\.(?:(?:audio_|video_)?(?:attn[12]|to_\w+_attn|ff)\.\S+)"
            r"|(?:audio_)?(?:patchify_proj|adaln_single|caption_projection)\S*"
        ),
    ),
    (
        Network.FLUX_OR_HUNYUAN,
        re.compile(r"(?:double_blocks|single_blocks|single_transformer_blocks)\.\d+\.\S+"),
    ),
    (
        Network.FLUX_OR_HUNYUAN,
        re.compile(r"transformer_blocks\.\d+\.(?:attn|ff_context|norm1)\.\S+"),
    ),
)
_LINEAR_IN_TRANSFORMER = re.compile(
    rf"{_UNET_BLOCK}attentions\.\d+\.transformer_blocks\.\d+\.{_TRANSFORMER_PART}"
)


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
    endings, prefixes: how many pairs are named so; see `LoraKey`.
    """

    file: TensorFile
    networks: Mapping[Network, Mapping[str, LoraLayer]]
    unmatched: Mapping[str, str] = field(default_factory=dict)
    endings: Mapping[str, int] = field(default_factory=dict)
    prefixes: Mapping[str, int] = field(default_factory=dict)

    @property
    def main(self) -> Network:
        """The network that says where the file belongs; motion before all else."""
        found = self.networks or {_network_of(key) for key in self.unmatched}
        return next((network for network in Network if network in found), Network.UNKNOWN)

    @property
    def ending(self) -> str:
        """What most pairs are named with."""
        return max(self.endings, key=self.endings.__getitem__, default="")

    @property
    def prefix(self) -> str:
        """What most names begin with."""
        return max(self.prefixes, key=self.prefixes.__getitem__, default="")

    def broken(self, network: Network) -> dict[str, str]:
        """The unmatched tensors that are of this network."""
        return {key: why for key, why in self.unmatched.items() if _network_of(key) is network}

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
            and all(_LINEAR_IN_TRANSFORMER.fullmatch(name) for name in layers)
            and self.is_linear(Network.IMAGE_UNET)
        )


def lora_content(file: TensorFile) -> LoraContent | None:
    """What the file holds; None if it has no half of a LoRA's pair."""
    keys = {name: key for name in file.shapes if (key := lora_key(name))}
    halves = {name: key for name, key in keys.items() if key.part in ("down", "up")}
    if not halves and not any(key.kind in ("LoHa", "LoKr", "OFT") for key in keys.values()):
        return None
    layers, unmatched = _layers(file, keys)
    unmatched |= {name: "no name of a LoRA's" for name in file.shapes if name not in keys}
    networks = _by_network(file, layers, keys)
    used = [keys[layer.down] for some in networks.values() for layer in some.values()]
    return LoraContent(
        file=file,
        networks=networks,
        unmatched={name: unmatched[name] for name in file.shapes if name in unmatched},
        endings=Counter(key.ending for key in used or halves.values()),
        prefixes=Counter(key.prefix for key in used or halves.values()),
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
        network = Network.TEXT_ENCODER if of_text else _network_of_layer(name)
        networks.setdefault(network, {})[name] = layer
    # A name that other transformers have too.
    if Network.WAN in networks and "proj_out" in networks.get(Network.UNKNOWN, {}):
        networks[Network.WAN][WAN_OUTSIDE["proj_out"]] = networks[Network.UNKNOWN].pop("proj_out")
    second = any(_is_second(keys[layer.down]) for layer in layers.values())
    _settle(networks, Network.IMAGE_UNET, _image_network(file, networks, second))
    _settle(networks, Network.FLUX_OR_HUNYUAN, _joint_network(networks))
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


def _joint_network(networks: Mapping[Network, Mapping[str, LoraLayer]]) -> Network:
    """Flux and HunyuanVideo have the same names; in numbers of blocks they differ."""
    names = [*networks.get(Network.FLUX_OR_HUNYUAN, {})]
    if any(re.search(r"_attn_qkv|_attn_proj|fc[12]|_mod\.linear", name) for name in names):
        return Network.HUNYUAN
    double = _highest(names, r"(?:double|^transformer)_blocks\.(\d+)")
    single = _highest(names, r"single_(?:transformer_)?blocks\.(\d+)")
    if double >= _FLUX_DOUBLE or single >= _FLUX_SINGLE:
        return Network.HUNYUAN
    whole = double == _FLUX_DOUBLE - 1 and single in (-1, _FLUX_SINGLE - 1)
    return Network.FLUX if whole else Network.FLUX_OR_HUNYUAN


def _highest(names: Iterable[str], pattern: str) -> int:
    found = (re.search(pattern, name) for name in names)
    return max((int(match[1]) for match in found if match), default=-1)


def _network_of_layer(layer: str) -> Network:
    found = (network for network, pattern in _PATTERNS if pattern.fullmatch(layer))
    return next(found, Network.UNKNOWN)


def _network_of(name: str) -> Network:
    """Of a tensor that belongs to no complete layer: by what its name has in it."""
    key = lora_key(name)
    if "motion_modules" in name:
        return Network.MOTION_MODULE
    if "temp_attentions" in name or "temp_convs" in name or "transformer_in" in name:
        return Network.VIDEO_UNET
    if key is None:
        return Network.UNKNOWN
    return Network.TEXT_ENCODER if key.text else _network_of_layer(key.layer)
