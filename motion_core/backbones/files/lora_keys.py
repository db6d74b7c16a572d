"""What the tensors of a LoRA file are called, by any program.

In: a tensor's name. Out: which layer it belongs to, by that layer's name in the network, and what it
is of it. A name has up to three parts: a prefix, a layer, and an end:

| program                          | prefix                          | layer                 | end                           |
|----------------------------------|---------------------------------|-----------------------|-------------------------------|
| kohya, musubi                    | lora_unet_, lora_te_            | with "_" for "."      | .lora_down.weight, .alpha     |
| peft, ComfyUI's trainer          | base_model.model., diffusion_model. | as in the network | .lora_A.weight                |
| diffusers                        | unet., transformer.             | with ".processor."    | _lora.down.weight, .lora.down.weight |
| AnimateDiff                      | none                            | its own names         | _lora.down.weight             |
| AnimateDiff-MotionDirector and ADMotionDirector | none             | "processor." before the last part | _lora.down.weight  |

Layers get diffusers' names: without "processor." and "temporal_transformer.", with attn1 and attn2
for attention_blocks.0 and .1, with to_out.0 for to_out. Wan's get the authors' (`self_attn.q`).
References: kohya-ss/sd-scripts and musubi-tuner (networks/lora.py), diffusers
(loaders/lora_conversion_utils.py), ComfyUI (comfy/lora.py, comfy/weight_adapter/lora.py),
guoyww/AnimateDiff (utils/convert_lora_safetensor_to_diffusers.py), and for the last row
ExponentialML/AnimateDiff-MotionDirector c7f57f0, animatediff/utils/lora.py
(`convert_to_motion_lora_key`), of which kijai/ComfyUI-ADMotionDirector has a copy: of a linear layer
`to_out.0` the last part is "0", hence `to_out.processor.0_lora`.
"""  # noqa: E501

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

Part = Literal["down", "up", "alpha", "other"]

_PAIR_ENDS: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"\.lora_(A|B)(?:\.\w+)?(?:\.weight)$|\.lora_(?:A|B)$"), "peft"),
    (re.compile(r"\.lora_(?:down|up)(?:\.\w+)?\.weight$"), "kohya"),
    (re.compile(r"\.lora(?:_linear_layer)?\.(?:down|up)\.weight$"), "diffusers"),
    (re.compile(r"_lora\.(?:down|up)\.weight$"), "processor"),
)
_ALPHA_END = re.compile(r"(?:[._]lora)?\.alpha$")
# Changes of a layer that are no plain product of two matrices, and what they are called.
_OTHER_ENDS: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"\.hada_\w+(?:\.weight)?$"), "LoHa"),
    (re.compile(r"\.lokr_\w+(?:\.weight)?$"), "LoKr"),
    (re.compile(r"\.(?:oft|boft)_\w+(?:\.\w+)?(?:\.weight)?$"), "OFT"),
    (re.compile(r"\.(?:dora_scale|lora_magnitude_vector(?:\.\w+)?(?:\.weight)?)$"), "DoRA"),
    (re.compile(r"\.lora_mid\.weight$"), "a LoRA of three matrices"),
    (re.compile(r"\.(?:diff|set_weight|w_norm)$"), "a change of whole weights"),
    (re.compile(r"\.(?:diff_b|b_norm|lora_(?:B|up)\.bias)$"), "a change of a bias"),
)
_DOTTED_PREFIXES = (
    "base_model.model.",
    "module.",
    "model.diffusion_model.",
    "diffusion_model.",
    "transformer.",
    "unet.",
    "pipe.dit.",
)
_FLAT_PREFIXES = ("lora_unet_", "lora_transformer_", "lycoris_")
_TEXT_PREFIXES = ("text_encoder.", "text_encoders.clip_l.transformer.", "text_encoders.clip_l.")
_FLAT_TEXT_PREFIXES = ("lora_te1_", "lora_te_")
_SECOND_TEXT = re.compile(r"text_encoder_2\.|lora_te2_|text_encoders\.clip_g\.")

# Parts of layers' names that have a "_" in them, so that flat names can be taken apart.
_WORDS = (
    "down_blocks up_blocks mid_block motion_modules temporal_transformer transformer_blocks "
    "attention_blocks temp_attentions temp_convs transformer_in conv_in conv_out conv_shortcut "
    "time_emb_proj time_embedding linear_1 linear_2 to_q to_k to_v to_out proj_in proj_out "
    "add_k_proj add_v_proj input_blocks middle_block output_blocks emb_layers in_layers out_layers "
    "skip_connection text_model self_attn cross_attn q_proj k_proj v_proj out_proj k_img v_img "
    "text_embedding time_projection patch_embedding img_emb double_blocks single_blocks img_attn "
    "txt_attn img_attn_qkv img_attn_proj txt_attn_qkv txt_attn_proj img_mod txt_mod img_mlp "
    "txt_mlp single_transformer_blocks patchify_proj adaln_single caption_projection img_in txt_in "
    "time_in vector_in guidance_in final_layer individual_token_refiner condition_embedder "
    "add_q_proj to_add_out ff_context text_projection position_embedding token_embedding"
).split()
_WORD = re.compile(
    rf"(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))}|[A-Za-z]+\d*|\d+)(?=_|$)"
)

_LDM = re.compile(r"(input_blocks|middle_block|output_blocks)\.(\d+)(?:\.(\d+))?\.(.+)")
_WAN_ATTENTION = {
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "o",
    "add_k_proj": "k_img",
    "add_v_proj": "v_img",
}
_WAN_DIFFUSERS = re.compile(
    r"blocks\.(\d+)\.(?:attn([12])\.(to_[qkv]|to_out\.0|add_[kv]_proj)|ffn\.net\.(0\.proj|2))"
)
# diffusers' WanTransformer3DModel outside its blocks.
WAN_OUTSIDE: Mapping[str, str] = {
    "proj_out": "head.head",
    "patch_embedding": "patch_embedding",
    "condition_embedder.text_embedder.linear_1": "text_embedding.0",
    "condition_embedder.text_embedder.linear_2": "text_embedding.2",
    "condition_embedder.time_embedder.linear_1": "time_embedding.0",
    "condition_embedder.time_embedder.linear_2": "time_embedding.2",
    "condition_embedder.time_proj": "time_projection.1",
    "condition_embedder.image_embedder.ff.net.0.proj": "img_emb.proj.1",
    "condition_embedder.image_embedder.ff.net.2": "img_emb.proj.3",
}


class LoraKey(NamedTuple):
    """A tensor's name, taken apart.

    stem: the name without its end. layer: in the network. part: what the tensor is of it; `kind`
    says what an "other" one is.
    ending: whose end the name has, "peft", "kohya", "diffusers" or "processor"; "" for alpha.
    prefix: as it stands in the file, "" without one. text: of the text encoder, not the network.
    """

    stem: str
    layer: str
    part: Part
    kind: str
    ending: str
    prefix: str
    text: bool


def lora_key(name: str) -> LoraKey | None:
    """The name taken apart; None for one that is no LoRA's."""
    split = _without_end(name)
    if split is None:
        return None
    stem, part, kind, ending = split
    if second := _SECOND_TEXT.match(stem):
        return LoraKey(stem, stem[second.end() :], part, kind, ending, second[0], True)
    for prefix in (*_TEXT_PREFIXES, *_FLAT_TEXT_PREFIXES):
        if stem.startswith(prefix):
            inner = stem.removeprefix(prefix)
            plain = _unflattened(inner) if prefix in _FLAT_TEXT_PREFIXES else inner
            return LoraKey(stem, plain, part, kind, ending, prefix, True)
    plain, prefix = _without_prefixes(stem)
    return LoraKey(stem, _network_name(plain), part, kind, ending, prefix, False)


def _without_end(name: str) -> tuple[str, Part, str, str] | None:
    for pattern, ending in _PAIR_ENDS:
        if found := pattern.search(name):
            end = found[0]
            is_down = "lora_A" in end or "down" in end
            return name[: found.start()], "down" if is_down else "up", "", ending
    if found := _ALPHA_END.search(name):
        return name[: found.start()], "alpha", "", ""
    for pattern, kind in _OTHER_ENDS:
        if found := pattern.search(name):
            return name[: found.start()], "other", kind, ""
    return None


def _without_prefixes(stem: str) -> tuple[str, str]:
    """The layer's own name with dots, and the prefixes that stood before it."""
    rest = stem
    while prefix := next((p for p in _DOTTED_PREFIXES if rest.startswith(p)), None):
        rest = rest.removeprefix(prefix)
    flat = next((p for p in _FLAT_PREFIXES if rest.startswith(p)), None)
    if flat is not None:
        rest = rest.removeprefix(flat)
        return _unflattened(rest), stem[: len(stem) - len(rest)]
    return rest, stem[: len(stem) - len(rest)]


def _unflattened(name: str) -> str:
    """ "blocks_0_self_attn_q" → "blocks.0.self_attn.q"; as it is if it has unknown parts."""
    parts: list[str] = []
    place = 0
    while place < len(name):
        found = _WORD.match(name, place)
        if found is None:
            return name
        parts.append(found[0])
        place = found.end() + 1
    return ".".join(parts)


def _network_name(name: str) -> str:
    name = name.replace(".processor.", ".").replace(".temporal_transformer.", ".")
    name = re.sub(r"\.attention_blocks\.([01])\.", lambda m: f".attn{int(m[1]) + 1}.", name)
    name = re.sub(r"\.to_out$", ".to_out.0", name)
    if found := _LDM.fullmatch(name):
        return _from_ldm(found) or name
    return _wan_name(name)


def _from_ldm(found: re.Match[str]) -> str | None:
    """A transformer of Stable Diffusion's UNet, which has two to a level; None for other layers."""
    side, first, second, rest = found[1], int(found[2]), found[3], found[4]
    if side == "middle_block":
        inner = rest if second is None else f"{second}.{rest}"
        return f"mid_block.attentions.0.{inner}" if first == 1 else None
    if second != "1" or not rest.startswith(("transformer_blocks.", "proj_")):
        return None
    if side == "input_blocks":
        level, index = divmod(first - 1, 3)
        return f"down_blocks.{level}.attentions.{index}.{rest}"
    level, index = divmod(first, 3)
    return f"up_blocks.{level}.attentions.{index}.{rest}"


def _wan_name(name: str) -> str:
    if name.startswith("condition_embedder."):
        return WAN_OUTSIDE.get(name, name)
    found = _WAN_DIFFUSERS.fullmatch(name)
    if found is None:
        return name
    block, attention, part, inner = found.groups()
    if attention is None:
        return f"blocks.{block}.ffn.{inner.removesuffix('.proj')}"
    side = {"1": "self_attn", "2": "cross_attn"}[attention]
    return f"blocks.{block}.{side}.{_WAN_ATTENTION[part]}"


def wan_diffusers_name(layer: str) -> str:
    """diffusers' name of a layer of Wan's; raises KeyError for one that it does not have."""
    outside = {theirs: own for own, theirs in WAN_OUTSIDE.items()}
    if layer in outside:
        return outside[layer]
    found = re.fullmatch(r"(blocks\.\d+)\.(?:(self|cross)_attn\.(\w+)|ffn\.([02]))", layer)
    if found is None:
        raise KeyError(layer)
    block, side, part, inner = found.groups()
    if side is None:
        return f"{block}.ffn.net.{'0.proj' if inner == '0' else '2'}"
    names = {theirs: own for own, theirs in _WAN_ATTENTION.items()}
    return f"{block}.attn{1 if side == 'self' else 2}.{names[part]}"
