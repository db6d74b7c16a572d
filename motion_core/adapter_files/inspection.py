"""What a model file is, and what an adapter holds, as plain values and as lines for people.

Whether a file can be used, its own reader says: it is run here as it is when the file is used, but
for the weights of base models, which are not read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..adapters.base import Adapter
from ..backbones.checks import CHECKS
from ..backbones.files.folders import model_path, open_folder
from ..backbones.files.kinds import role_of
from ..backbones.files.lora_content import lora_content
from ..backbones.files.motion_modules import left_out
from ..backbones.files.roles import MOTION_MODULES, Role
from ..backbones.files.tensors import TensorFile, open_tensors
from ..errors import FormatError
from ..settings import to_mapping
from .lora_report import lora_report, report_lines
from .noise_file import load_noise
from .own import AdapterInfo, load_adapter, read_previews
from .reading import ADAPTER_ROLES, read_any_adapter
from .sample_defaults import SAMPLING


def inspect_file(path: Path) -> dict[str, object]:
    """The facts about a file: its role, its size, and for an adapter all that its header says.

    path: a file, a checkpoint folder of the official MotionDirector, or a model's folder.
    "problem" is why the file cannot be used for what it is. Raises FormatError for what is no model
    at all.
    """
    path = model_path(Path(path))
    if path.is_dir():
        return _folder_facts(path)
    file = open_tensors(path)
    role = role_of(file)
    facts = {**_facts(path.name, role, file), "bytes": path.stat().st_size}
    if role is Role.OWN_ADAPTER:
        info, adapters = load_adapter(path)
        return {**facts, "adapter": adapter_facts(info, adapters, len(read_previews(path)))}
    if role is Role.INVERTED_NOISE:
        info, latents = load_noise(path)
        return {**facts, "noise": {**vars(info), "shape": list(latents.shape)}}
    if content := lora_content(file):
        facts["lora"] = lora_report(content)
    if role in MOTION_MODULES and (rest := left_out(file)):
        facts["left_out"] = rest
    try:
        if role in ADAPTER_ROLES:
            key = "embeddings" if role is Role.MOTION_EMBEDDING else "loras"
            facts[key] = _entries(read_any_adapter(path).adapters)
        elif role in CHECKS:
            CHECKS[role](path, file)
    except FormatError as error:
        facts["problem"] = str(error)
    return facts


def _facts(name: str, role: Role, file: TensorFile) -> dict[str, object]:
    return {
        "file": name,
        "role": role.name.lower(),
        "what": role.what,
        "where": role.where,
        "tensors": len(file.shapes),
        "parameters": sum(math.prod(shape) for shape in file.shapes.values()),
    }


def _folder_facts(folder: Path) -> dict[str, object]:
    """Of a model's folder the network's; else of a checkpoint folder of MotionDirector."""
    if not (folder / "unet").is_dir() and not (folder / "config.json").is_file():
        loras = _entries(read_any_adapter(folder).adapters)
        role = Role.POSITIONAL_LORA
        facts = {"file": folder.name, "role": role.name.lower(), "what": role.what}
        return {**facts, "where": role.where, "loras": loras}
    unet = folder / "unet"
    file = open_folder(unet if unet.is_dir() else folder)
    role = role_of(file)
    if unet.is_dir() and role is Role.IMAGE_UNET:
        role = Role.SD15_CHECKPOINT
    facts = _facts(folder.name, role, file)
    try:
        if role is Role.SD15_CHECKPOINT or role in MOTION_MODULES:
            CHECKS[role](folder, file)
    except FormatError as error:
        facts["problem"] = str(error)
    return facts


def adapter_facts(
    info: AdapterInfo, adapters: Mapping[str, Adapter], previews: int
) -> dict[str, object]:
    """All that is known of a file's adapters. previews: how many pictures there are."""
    return {**to_mapping(info), "adapters": _entries(adapters), "previews": previews}


def file_lines(facts: Mapping[str, Any]) -> list[str]:
    """The facts of `inspect_file` for people."""
    lines = [f"{facts['file']}: {facts['what']}; {facts['where']}."]
    if "tensors" in facts:
        size = f"{facts['bytes'] / 2**20:.1f} MiB, " if "bytes" in facts else ""
        lines.append(
            f"  size        {size}{facts['tensors']} tensors, {facts['parameters']:,} parameters"
        )
    if "adapter" in facts:
        lines += adapter_lines(facts["adapter"])
    if "lora" in facts:
        lines += report_lines(facts["lora"])
    if rest := facts.get("left_out"):
        lines.append(f"  not used    {len(rest)} tensors beside the motion modules: {rest[0]} …")
    lines += _entry_lines({**facts.get("loras", {}), **facts.get("embeddings", {})})
    if "noise" in facts:
        noise = facts["noise"]
        lines.append(f"  base        {noise['version']} ({noise['family']})")
        lines.append(f"  clip        {noise['prompt']!r}, latents {noise['shape']}")
        lines.append(f"  inversion   {noise['steps']} steps")
    if "problem" in facts:
        lines.append(f"  PROBLEM     {facts['problem']}")
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
