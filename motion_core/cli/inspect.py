"""`inspect`: what a model file is, and what an adapter holds."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .terminal import say

if TYPE_CHECKING:
    from ..adapters.base import Adapter

SUMMARY = "Say what a model file is and where it belongs, and what an adapter holds."

EXAMPLES = """examples:
  python -m motion_core inspect out/zigzag/adapter.safetensors
  python -m motion_core inspect v3_sd15_mm.ckpt --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", type=Path, help=".safetensors, .ckpt, .pt, .pth, .bin"
    )
    parser.add_argument("--json", action="store_true", help="for other programs: one JSON object")


def run(arguments: argparse.Namespace) -> int:
    facts = inspect_file(arguments.file)
    say(json.dumps(facts, indent=2) if arguments.json else "\n".join(_lines(facts)))
    return 0


def inspect_file(path: Path) -> dict[str, object]:
    """The facts about a file: its role, its size, and for an adapter all that its header says."""
    # Imported here: torch and diffusers take seconds to import.
    from ..backbones.roles import Role, role_of
    from ..backbones.tensor_files import open_tensors
    from ..interop_motion_director import import_motion_director
    from ..interop_motion_inversion import import_motion_embed
    from ..noise_file import load_noise

    file = open_tensors(path)
    role = role_of(file)
    facts: dict[str, object] = {
        "file": path.name,
        "role": role.name.lower(),
        "what": role.what,
        "where": role.where,
        "bytes": path.stat().st_size,
        "tensors": len(file.shapes),
        "parameters": sum(math.prod(shape) for shape in file.shapes.values()),
    }
    if role is Role.OWN_ADAPTER:
        return {**facts, "adapter": _adapter_facts(path)}
    if role is Role.POSITIONAL_LORA:
        return {**facts, "loras": _entries(import_motion_director(path))}
    if role is Role.MOTION_EMBEDDING:
        return {**facts, "embeddings": _entries({"temporal": import_motion_embed(path)})}
    if role is Role.INVERTED_NOISE:
        info, latents = load_noise(path)
        return {**facts, "noise": {**vars(info), "shape": list(latents.shape)}}
    return facts


def _adapter_facts(path: Path) -> dict[str, object]:
    from ..adapter_file import load_adapter, read_previews
    from ..settings import to_mapping

    info, adapters = load_adapter(path)
    return {
        **to_mapping(info),
        "adapters": _entries(adapters),
        "previews": len(read_previews(path)),
    }


def _entries(adapters: Mapping[str, Adapter]) -> dict[str, dict[str, object]]:
    return {
        name: {
            "kind": adapter.kind,
            "scope": adapter.scope,
            "parameters": sum(tensor.numel() for tensor in adapter.state_dict().values()),
        }
        for name, adapter in adapters.items()
    }


def _lines(facts: dict[str, Any]) -> list[str]:
    lines = [
        f"{facts['file']}: {facts['what']}; {facts['where']}.",
        f"  size        {facts['bytes'] / 2**20:.1f} MiB, {facts['tensors']} tensors, "
        f"{facts['parameters']:,} parameters",
    ]
    if "adapter" in facts:
        lines += _adapter_lines(facts["adapter"])
    lines += _entry_lines({**facts.get("loras", {}), **facts.get("embeddings", {})})
    if "noise" in facts:
        noise = facts["noise"]
        lines.append(f"  base        {noise['version']} ({noise['family']})")
        lines.append(f"  clip        {noise['prompt']!r}, latents {noise['shape']}")
        lines.append(f"  inversion   {noise['steps']} steps")
    return lines


def _adapter_lines(info: dict[str, Any]) -> list[str]:
    rank = f", rank {info['rank']}" if info["rank"] else ""
    objective = ", ".join(f"{k} {v}" for k, v in info["settings"].get("objective", {}).items())
    return [
        f"  method      {info['method']} ({info['parametrisation']}{rank}), {info['steps']} steps",
        f"  settings    {objective}",
        f"  base        {info['version']} ({info['family']}), licence {info['licence']}",
        f"  clips       {info['width']}x{info['height']}, {info['frames']} frames at "
        f"{info['fps']:g} fps",
        *(f"  prompt      {prompt}" for prompt in info["prompts"]),
        f"  sites       {', '.join(info['sites'])}",
        *_entry_lines(info["adapters"]),
        f"  made by     Motion Adapters {info['package_version']}, format "
        f"{info['format_version']}, {info['previews']} previews",
    ]


def _entry_lines(entries: dict[str, Any]) -> list[str]:
    return [
        f"  {name:<11} {entry['scope']} {entry['kind']}, {entry['parameters']:,} parameters"
        for name, entry in entries.items()
    ]
