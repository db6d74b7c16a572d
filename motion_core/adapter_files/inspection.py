"""What a model file is, and what an adapter holds, as plain values and as lines for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..adapters.base import Adapter
from ..backbones.files.kinds import Role, role_of
from ..backbones.files.tensors import open_tensors
from ..settings import to_mapping
from .noise_file import load_noise
from .official_motion_director import import_motion_director
from .official_motion_inversion import import_motion_embed
from .own import AdapterInfo, load_adapter, read_previews
from .sample_defaults import SAMPLING


def inspect_file(path: Path) -> dict[str, object]:
    """The facts about a file: its role, its size, and for an adapter all that its header says."""
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
        info, adapters = load_adapter(path)
        return {**facts, "adapter": adapter_facts(info, adapters, len(read_previews(path)))}
    if role is Role.POSITIONAL_LORA:
        return {**facts, "loras": _entries(import_motion_director(path))}
    if role is Role.MOTION_EMBEDDING:
        return {**facts, "embeddings": _entries({"temporal": import_motion_embed(path)})}
    if role is Role.INVERTED_NOISE:
        info, latents = load_noise(path)
        return {**facts, "noise": {**vars(info), "shape": list(latents.shape)}}
    return facts


def adapter_facts(
    info: AdapterInfo, adapters: Mapping[str, Adapter], previews: int
) -> dict[str, object]:
    """All that is known of a file's adapters. previews: how many pictures there are."""
    return {**to_mapping(info), "adapters": _entries(adapters), "previews": previews}


def file_lines(facts: Mapping[str, Any]) -> list[str]:
    """The facts of `inspect_file` for people."""
    lines = [
        f"{facts['file']}: {facts['what']}; {facts['where']}.",
        f"  size        {facts['bytes'] / 2**20:.1f} MiB, {facts['tensors']} tensors, "
        f"{facts['parameters']:,} parameters",
    ]
    if "adapter" in facts:
        lines += adapter_lines(facts["adapter"])
    lines += _entry_lines({**facts.get("loras", {}), **facts.get("embeddings", {})})
    if "noise" in facts:
        noise = facts["noise"]
        lines.append(f"  base        {noise['version']} ({noise['family']})")
        lines.append(f"  clip        {noise['prompt']!r}, latents {noise['shape']}")
        lines.append(f"  inversion   {noise['steps']} steps")
    return lines


def adapter_lines(facts: Mapping[str, Any]) -> list[str]:
    """The facts of `adapter_facts` for people; of another program's file what can be known."""
    rank = f", rank {facts['rank']}" if facts["rank"] else ""
    method = f"  method      {facts['method']} ({facts['parametrisation']}{rank})"
    sites = f"  sites       {', '.join(facts['sites'])}"
    entries = _entry_lines(facts["adapters"])
    if not facts["reference_hash"]:
        base = (
            f"  base        {facts['family']}; the file has no other information about its training"
        )
        return [method, base, sites, *entries]
    parts = ("objective", "training", SAMPLING)
    told = {part: _listed(facts["settings"].get(part, {})) for part in parts}
    return [
        f"{method}, {facts['steps']} steps",
        f"  settings    {told['objective']}",
        f"  training    {told['training']}",
        *([f"  sampling    {told[SAMPLING]}"] if told[SAMPLING] else []),
        f"  base        {facts['version']} ({facts['family']}), licence {facts['licence']}",
        f"  clips       {facts['width']}x{facts['height']}, {facts['frames']} frames at "
        f"{facts['fps']:g} fps",
        *(f"  prompt      {prompt}" for prompt in facts["prompts"]),
        sites,
        *entries,
        f"  made by     Motion Adapters {facts['package_version']}, format "
        f"{facts['format_version']}, {facts['previews']} previews",
    ]


def _listed(settings: Mapping[str, Any]) -> str:
    """All of them, as they were resolved."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _entries(adapters: Mapping[str, Adapter]) -> dict[str, dict[str, object]]:
    return {
        name: {
            "kind": adapter.kind,
            "scope": adapter.scope,
            "parameters": sum(tensor.numel() for tensor in adapter.state_dict().values()),
        }
        for name, adapter in adapters.items()
    }


def _entry_lines(entries: Mapping[str, Any]) -> list[str]:
    return [
        f"  {name:<11} {entry['scope']} {entry['kind']}, {entry['parameters']:,} parameters"
        for name, entry in entries.items()
    ]
