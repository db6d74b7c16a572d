"""Which names of LoRA tensors each program looks for, and how files are written for it.

In: a network and the name of one of its layers, as in `lora_content`. Out: the stems (names without
the end that says which matrix it is) under which a program finds the layer. Read in the programs'
code:

- ComfyUI: comfy/lora.py, `model_lora_keys_unet` and `model_lora_keys_clip`;
  comfy/weight_adapter/lora.py for the ends. Wan has the generic names alone: a bare `blocks.0…` and
  diffusers' `transformer.blocks.0.attn1.to_q` are ignored (ComfyUI #11141).
- AnimateDiff-Evolved d8d163c, model_injection.py, `load_motion_lora_as_patches`.
- diffusers 0.42, loaders/lora_conversion_utils.py and utils/state_dict_utils.py.
- kohya-ss/sd-scripts and musubi-tuner, networks/lora.py.
- peft: the layers' own names in the diffusers model, `save.get_peft_model_state_dict`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from ...errors import FormatError
from .lora_keys import wan_diffusers_name
from .lora_names import ANIMATEDIFF_NAMES, PEFT_NAMES
from .lora_networks import Network

Stems = Callable[[Network, str], Collection[str]]

_IMAGE = (Network.IMAGE_UNET, Network.SDXL_UNET, Network.SD2_UNET)
_PEFT = (PEFT_NAMES.down, PEFT_NAMES.up)
_KOHYA = (".lora_down.weight", ".lora_up.weight")
_ALL_ENDINGS = frozenset(("peft", "kohya", "diffusers", "processor"))


@dataclass(frozen=True, kw_only=True)
class Program:
    """name: for people. stems: of a layer. endings: that it knows; see `LoraKey`. alpha: whether it
    bears alpha tensors.
    """

    name: str
    stems: Stems
    endings: Collection[str] = _ALL_ENDINGS
    alpha: bool = True


def _flat(layer: str) -> str:
    return layer.replace(".", "_")


def _processor(layer: str) -> str:
    """diffusers' older name of an attention's layer, as its processors had it."""
    return re.sub(r"\.to_(\w+)(?:\.0)?$", r".processor.to_\1", layer)


def ldm_name(layer: str) -> str | None:
    """The name in Stable Diffusion's own UNet of a transformer's layer; None for other layers."""
    found = re.fullmatch(r"(?:(down|up)_blocks\.(\d+)|mid_block)\.attentions\.(\d+)\.(.+)", layer)
    if found is None:
        return None
    side, level, index, rest = found.groups()
    if side is None:
        return f"middle_block.1.{rest}"
    place = 3 * int(level) + int(index)
    return (
        f"input_blocks.{place + 1}.1.{rest}"
        if side == "down"
        else f"output_blocks.{place}.1.{rest}"
    )


def _comfyui(network: Network, layer: str) -> set[str]:
    if network in _IMAGE:
        names = {f"lora_unet_{_flat(layer)}", f"lycoris_{_flat(layer)}"}
        names |= {_processor(layer), f"unet.{_processor(layer)}"}
        if own := ldm_name(layer):
            names |= {f"diffusion_model.{own}", f"lora_unet_{_flat(own)}"}
        return names
    if network is Network.TEXT_ENCODER:
        flat = {f"lora_te_{_flat(layer)}", f"lora_te1_{_flat(layer)}"}
        return flat | {f"text_encoder.{layer}", f"text_encoders.clip_l.transformer.{layer}"}
    if network in (Network.WAN, Network.LTX):
        return {f"diffusion_model.{layer}", f"lora_unet_{_flat(layer)}"}
    return set()


def _evolved(network: Network, layer: str) -> set[str]:
    if network is not Network.MOTION_MODULE:
        return set()
    with_processor = ANIMATEDIFF_NAMES.to_file(layer).removesuffix("_lora")
    plain = with_processor.replace(".processor.", ".")
    if not plain.endswith(".to_out"):
        return {with_processor, plain, _by_trainers(plain)}
    return {with_processor, plain, f"{plain}.0", _by_trainers(f"{plain}.0")}


def _by_trainers(name: str) -> str:
    """As AnimateDiff-MotionDirector puts "processor" before the last part."""
    stem, _, last = name.rpartition(".")
    return f"{stem}.processor.{last}"


def _diffusers(network: Network, layer: str) -> set[str]:
    if network is Network.MOTION_MODULE:
        return {f"unet.{_processor(layer)}", f"unet.{layer}"}
    if network in _IMAGE:
        names = {f"unet.{_processor(layer)}", f"unet.{layer}", f"lora_unet_{_flat(layer)}"}
        own = ldm_name(layer)
        return names | ({f"lora_unet_{_flat(own)}"} if own else set())
    if network is Network.TEXT_ENCODER:
        return {f"text_encoder.{layer}", f"lora_te_{_flat(layer)}", f"lora_te1_{_flat(layer)}"}
    if network is Network.WAN:
        return {f"diffusion_model.{layer}", f"lora_unet_{_flat(layer)}", *_transformer(layer)}
    return set()


def _transformer(layer: str) -> set[str]:
    try:
        return {f"transformer.{wan_diffusers_name(layer)}"}
    except KeyError:
        return set()


def _kohya(network: Network, layer: str) -> set[str]:
    if network is Network.TEXT_ENCODER:
        return {f"lora_te_{_flat(layer)}"}
    return {f"lora_unet_{_flat(layer)}"} if network in _IMAGE else set()


def _musubi(network: Network, layer: str) -> set[str]:
    return {f"lora_unet_{_flat(layer)}"} if network is Network.WAN else set()


def _peft(network: Network, layer: str) -> set[str]:
    if network in (Network.MOTION_MODULE, Network.VIDEO_UNET, *_IMAGE):
        return {layer, f"base_model.model.{layer}"}
    if network is Network.WAN:
        names = {name.removeprefix("transformer.") for name in _transformer(layer)}
        return names | {f"base_model.model.{name}" for name in names}
    return set()


PROGRAMS = (
    Program(name="ComfyUI's Load LoRA", stems=_comfyui),
    Program(
        name="AnimateDiff-Evolved", stems=_evolved, endings=frozenset(("processor",)), alpha=False
    ),
    Program(name="diffusers", stems=_diffusers),
    Program(name="kohya's sd-scripts", stems=_kohya, endings=frozenset(("kohya",))),
    Program(name="musubi-tuner", stems=_musubi, endings=frozenset(("kohya",))),
    Program(name="peft", stems=_peft, endings=frozenset(("peft",)), alpha=False),
)


def _named(network: Network, layer: str, to: str) -> tuple[str, tuple[str, str]] | None:
    """The stem and the ends (down, up) of a layer in a format; None if the format has none."""
    if to == "animatediff" and network is Network.MOTION_MODULE:
        return ANIMATEDIFF_NAMES.to_file(layer), (".down.weight", ".up.weight")
    if to == "peft" and (stems := _peft(network, layer)):
        return min(stems, key=len), _PEFT
    if to == "diffusers":
        return _named_for_diffusers(network, layer)
    if to in ("kohya", "comfyui") and (stems := _kohya(network, layer)):
        return next(iter(stems)), _KOHYA
    if to == "kohya" and network is Network.WAN:
        return f"lora_unet_{_flat(layer)}", _KOHYA
    if to == "comfyui" and network is Network.WAN:
        return f"diffusion_model.{layer}", _PEFT
    return None


def _named_for_diffusers(network: Network, layer: str) -> tuple[str, tuple[str, str]] | None:
    if network in (Network.MOTION_MODULE, Network.IMAGE_UNET):
        end = "_lora" if ".to_" in layer else ".lora"
        return f"unet.{_processor(layer)}{end}", (".down.weight", ".up.weight")
    if network is Network.TEXT_ENCODER:
        end = ".lora_linear_layer"
        return f"text_encoder.{layer}{end}", (".down.weight", ".up.weight")
    if network is Network.WAN and (stems := _transformer(layer)):
        return next(iter(stems)), _PEFT
    return None


def written_names(
    network: Network, layers: Iterable[str], to: str
) -> Mapping[str, tuple[str, str]]:
    """The names (down, up) of each layer's tensors in a format; to: a name in `formats.FORMATS`.

    Raises FormatError for a layer that the format has no name for.
    """
    names: dict[str, tuple[str, str]] = {}
    for layer in layers:
        found = _named(network, layer, to)
        if found is None:
            raise FormatError(
                f"The format {to} has no names for layers of {network.value}, such as {layer}. "
                f"Formats for it: {', '.join(formats_of(network)) or 'none'}."
            )
        stem, (down, up) = found
        names[layer] = (stem + down, stem + up)
    return names


def formats_of(network: Network) -> tuple[str, ...]:
    """The formats that a LoRA for the network can be written in."""
    return _FORMATS.get(network, ())


_FORMATS: Mapping[Network, tuple[str, ...]] = {
    Network.MOTION_MODULE: ("animatediff", "diffusers", "peft"),
    Network.VIDEO_UNET: ("peft",),
    Network.IMAGE_UNET: ("diffusers", "peft", "kohya", "comfyui"),
    Network.TEXT_ENCODER: ("diffusers", "kohya", "comfyui"),
    Network.WAN: ("diffusers", "peft", "kohya", "comfyui"),
}
HAS_ALPHA = ("kohya", "comfyui")
"""The formats in which a pair with kohya's names has an alpha, which is its rank."""
