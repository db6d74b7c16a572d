"""Motions that are applied together as one: a file that does at strength 1 what they do at theirs.

In: loaded adapters, each at its strength. Out: the same as one. With W = W0 + Σ sᵢ·ΔWᵢ, LoRAs
become one by laying their ranks side by side, Σ sᵢ·upᵢ·downᵢ = [s₁·up₁ s₂·up₂ …] ·
[down₁; down₂; …], and whole weights by adding them up; a LoRA beside whole weights becomes whole
weights. Embeddings of one size and debias add up too. What does not add up (embeddings of other
sizes, MoTrans's verbs) stands in the file beside the rest, with the strength in its weights. All of
it is exact but for rounding.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import get_args

from .. import __version__
from ..adapters import ADAPTERS, check_kinds
from ..adapters.base import Adapter, Scope
from ..errors import AdapterError
from ..settings import to_mapping
from .loaded import LoadedAdapter
from .own import AdapterInfo
from .summary import adapter_parametrisation, adapter_rank, adapter_sites

METHOD = "blend"

# What the file keeps of each part's own record.
_RECORDED = ("method", "settings", "version", "prompts", "steps", "reference_hash", "licence")


def merged(parts: Sequence[LoadedAdapter]) -> LoadedAdapter:
    """What is applied of the parts, as one file's at strength 1; what is not applied is left out.

    Raises AdapterError if nothing is applied, the parts are of different families, a layer has
    another size in each, or a kind of adapter is unknown.
    """
    applied = [part for part in parts if part.strength != 0.0]
    if not applied:
        names = ", ".join(part.name for part in parts) or "no adapter was given"
        raise AdapterError(
            f"There is nothing to merge: every strength is 0 ({names}). Give one adapter another "
            "strength."
        )
    check_one_family(applied)
    pairs = [pair for part in applied for pair in part.applied()]
    check_kinds(adapter for adapter, _ in pairs)
    adapters = _joined([adapter.scaled(strength) for adapter, strength in pairs])
    name = " + ".join(part.name for part in applied)
    return LoadedAdapter(name=name, info=_info(applied, adapters), adapters=adapters)


def check_one_family(parts: Sequence[LoadedAdapter]) -> None:
    """Raises AdapterError if the parts are of several families."""
    families = {part.info.family: part.name for part in parts}
    if len(families) > 1:
        named = ", ".join(f"{name} is for {family}" for family, name in families.items())
        raise AdapterError(
            f"These adapters cannot be combined: {named}. Combine adapters of one base family."
        )


def _joined(adapters: Sequence[Adapter]) -> dict[str, Adapter]:
    """By name: "temporal" and "spatial" as in every file, else the kind; numbered from the second
    of a name on.
    """
    found: dict[str, Adapter] = {}
    for scope in get_args(Scope):
        joined = [
            first.joined(others)
            for first, *others in _groups([a for a in adapters if a.scope == scope])
        ]
        for adapter in sorted(joined, key=lambda adapter: list(ADAPTERS).index(adapter.kind)):
            names = (scope, adapter.kind) if adapter.layers() else (adapter.kind,)
            found[_free_name(found, *names)] = adapter
    return found


def _groups(adapters: Sequence[Adapter]) -> list[list[Adapter]]:
    """Those that become one adapter."""
    groups: list[list[Adapter]] = []
    for adapter in adapters:
        fitting = (group for group in groups if all(other.joins(adapter) for other in group))
        group = next(fitting, None)
        if group is None:
            groups.append([adapter])
        else:
            group.append(adapter)
    return groups


def _free_name(taken: Mapping[str, Adapter], *wanted: str) -> str:
    """The first of `wanted` that is free, else the last one with a number."""
    numbered = (f"{wanted[-1]}.{number}" for number in range(1, len(taken) + 1))
    return next(name for name in (*wanted, *numbered) if name not in taken)


def _info(parts: Sequence[LoadedAdapter], adapters: Mapping[str, Adapter]) -> AdapterInfo:
    """Size and rate are those of the first part that is none of another program's."""
    infos = [part.info for part in parts]
    own = next((info for info in infos if not info.is_foreign), infos[0])
    hashes = [info.reference_hash for info in infos if info.reference_hash]
    return dataclasses.replace(
        own,
        method=METHOD,
        settings=_settings(parts),
        parametrisation=adapter_parametrisation(adapters),
        version=_all_of(infos, lambda info: info.version),
        rank=adapter_rank(adapters),
        sites=adapter_sites(adapters),
        prompts=tuple(dict.fromkeys(prompt for info in infos for prompt in info.prompts)),
        steps=sum(info.steps for info in infos),
        reference_hash=hashlib.sha256(" ".join(hashes).encode()).hexdigest() if hashes else "",
        licence=_all_of(infos, lambda info: info.licence),
        package_version=__version__,
        shown=tuple(adapters),
    )


def _settings(parts: Sequence[LoadedAdapter]) -> dict[str, object]:
    """The parts in a line for people, and what each one's file says, for the record."""
    line = " + ".join(f"{part.name} at {part.strength:g}" for part in parts)
    said = [
        {"name": part.name, "strength": part.strength}
        | {field: to_mapping(part.info)[field] for field in _RECORDED}
        for part in parts
    ]
    return {"objective": {"of": line}, "parts": said}


def _all_of(infos: Sequence[AdapterInfo], text: Callable[[AdapterInfo], str]) -> str:
    """Each different text once."""
    return " and ".join(dict.fromkeys(text(info) for info in infos if text(info)))
