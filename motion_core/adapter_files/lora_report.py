"""The LoRA doctor: for which network and version a LoRA is, which of its tensors are understood,
which programs load it as it is, and what keeps the others from it.

In: a `LoraContent`. Out: plain values, and lines for people.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..backbones.files.lora_content import LoraContent
from ..backbones.files.lora_keys import lora_key
from ..backbones.files.lora_networks import Network
from ..backbones.files.lora_programs import PROGRAMS, Program, formats_of

# Wan's widths: 1.3B and 14B are Wan 2.1's, 5B is Wan 2.2's; 2.2's two experts are 14B each.
_WAN_SIZES = {1536: "1.3B", 3072: "2.2 5B", 5120: "14B"}


def lora_report(content: LoraContent) -> dict[str, Any]:
    """network, version: what it is for. keys, matched, layers, ranks: numbers of tensors that
    belong to layers of a known network.
    unmatched: how many others by reason, and the first of each. programs: how many of the matched
    tensors each program loads. formats: of `convert`.
    """
    known = {n: layers for n, layers in content.networks.items() if n is not Network.UNKNOWN}
    layers = [layer for some in known.values() for layer in some.values()]
    matched = sum(2 + (layer.alpha is not None) for layer in layers)
    return {
        "network": " and ".join(network.value for network in known) or content.main.value,
        "version": _version(content),
        "names": _names(content),
        "keys": len(content.file.shapes),
        "matched": matched,
        "layers": len(layers),
        "ranks": sorted({layer.rank for layer in layers}),
        "unmatched": _unmatched(content),
        "programs": {
            program.name: count
            for program in PROGRAMS
            if _knows(program, known) and (count := _loaded(program, content)) is not None
        },
        "formats": list(formats_of(content.main)),
    }


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """The report for people."""
    version = f", {report['version']}" if report["version"] else ""
    ranks = ", ".join(map(str, report["ranks"]))
    lines = [
        f"  made for    {report['network']}{version}",
        f"  names       {report['names']}",
        f"  matched     {report['matched']} of {report['keys']} tensors, {report['layers']} layers"
        + (f", rank {ranks}" if ranks else ""),
    ]
    for reason, (count, first) in report["unmatched"].items():
        lines.append(f"  unmatched   {count}: {reason}, such as {first}")
    matched = report["matched"]
    for program, count in report["programs"].items():
        verdict = "loads it as it is" if count == matched else _verdict(count, matched)
        lines.append(f"  {program}: {verdict}")
    if any(count < matched for count in report["programs"].values()) and report["formats"]:
        lines.append(f"  convert     --to {' or '.join(report['formats'])} renames it")
    return lines


def _verdict(count: int, matched: int) -> str:
    if count == 0:
        return "loads none of it, because it expects other names"
    return f"loads {count} of {matched} tensors, because it expects other names for the rest"


def _knows(program: Program, known: Mapping[Network, Mapping[str, object]]) -> bool:
    """Whether the program has names for the file's networks at all."""
    return any(program.stems(network, layer) for network, some in known.items() for layer in some)


def _loaded(program: Program, content: LoraContent) -> int:
    """How many of the matched tensors the program finds."""
    count = 0
    for network, layers in content.networks.items():
        if network is Network.UNKNOWN:
            continue
        for name, layer in layers.items():
            key = lora_key(layer.down)
            if key is None or key.ending not in program.endings:
                continue
            if key.stem in program.stems(network, name):
                with_alpha = layer.alpha is not None
                count += 0 if with_alpha and not program.alpha else 2 + with_alpha
    return count


def _unmatched(content: LoraContent) -> dict[str, tuple[int, str]]:
    """(how many, the first) by the reason; layers of unknown networks too."""
    reasons: dict[str, list[str]] = {}
    for layer in content.networks.get(Network.UNKNOWN, {}).values():
        keys = [key for key in (layer.down, layer.up, layer.alpha) if key]
        reasons.setdefault("no layer of a network known here", []).extend(keys)
    for key, reason in content.unmatched.items():
        reasons.setdefault(reason, []).append(key)
    return {reason: (len(keys), keys[0]) for reason, keys in reasons.items()}


def _names(content: LoraContent) -> str:
    """How the file's tensors are named, by an example of it."""
    layers = [layer for some in content.networks.values() for layer in some.values()]
    example = layers[0].down if layers else next(iter(content.file.shapes))
    alpha = " with alpha" if any(layer.alpha for layer in layers) else ""
    return f"{example}{alpha}"


def _version(content: LoraContent) -> str:
    if content.main is Network.MOTION_MODULE:
        middle = any(n.startswith("mid_block.") for n in content.networks.get(content.main, ()))
        return "v2 (it has a middle block)" if middle else "any version"
    if content.main is Network.WAN:
        return _wan_version(content)
    return ""


def _wan_version(content: LoraContent) -> str:
    layers = content.networks.get(Network.WAN, {})
    widths = {
        content.file.shapes[layer.down][1]
        for name, layer in layers.items()
        if re.search(r"(self|cross)_attn\.(q|o)$|ffn\.0$", name)
    }
    size = " or ".join(_WAN_SIZES.get(width, f"width {width}") for width in sorted(widths))
    blocks = _numbers(layers)
    image = any("k_img" in name or "v_img" in name or "img_emb" in name for name in layers)
    parts = [size, f"{len(blocks)} blocks" if blocks else "", "image to video" if image else ""]
    return ", ".join(part for part in parts if part)


def _numbers(layers: Iterable[str]) -> set[str]:
    return {found[1] for name in layers if (found := re.match(r"blocks\.(\d+)\.", name))}
