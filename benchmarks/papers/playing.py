"""How a variant plays what was trained: options of adapters and their strengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from motion_core.adapters.base import Adapter
from motion_core.backbones.base import Backbone as Network
from motion_core.errors import SettingsError

from .rows import Variant


def scaled(
    adapters: Sequence[tuple[Adapter, float]], variant: Variant
) -> list[tuple[Adapter, float]]:
    """The adapters with the variant's strength on all that affects the motion."""
    return [
        (adapter, strength * variant.strength if adapter.scope == "temporal" else strength)
        for adapter, strength in adapters
    ]


def with_options(
    adapters: Sequence[tuple[Adapter, float]], changes: Mapping[str, object], network: Network
) -> list[tuple[Adapter, float]]:
    """The adapters with some of their options changed, each where it has an option of that name.

    Raises SettingsError for an option that none of them has.
    """
    known = {name for adapter, _ in adapters for name in adapter.options}
    unknown = sorted(set(changes) - known)
    if unknown:
        raise SettingsError(
            f"No adapter has an option {unknown[0]!r}; there are "
            f"{', '.join(sorted(known)) or 'none'}. Correct the variant."
        )
    return [(_changed(adapter, changes, network), strength) for adapter, strength in adapters]


def _changed(adapter: Adapter, changes: Mapping[str, object], network: Network) -> Adapter:
    options = {name: changes.get(name, value) for name, value in adapter.options.items()}
    return type(adapter).from_state_dict(
        adapter.state_dict(), scope=adapter.scope, family=network.family, options=options
    )


def changes(variant: Variant) -> dict[str, object]:
    """What a variant changes in playing; what it leaves as it is decides nothing."""
    changes = {
        "options": dict(variant.options),
        "strength": variant.strength if variant.strength != 1.0 else None,
        "checkpoint": variant.checkpoint,
        "clips": variant.clips if variant.clips > 1 else None,
        "looks": variant.looks if variant.looks != "prompt" else None,
    }
    return {name: value for name, value in changes.items() if value}
