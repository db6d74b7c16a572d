"""Where in a network methods put what they train, by role.

| role                   | what lies there                                                      |
|------------------------|----------------------------------------------------------------------|
| `temporal`             | layers that tell motion: temporal attention with its feed-forward,   |
|                        | or the queries and keys of joint attention                           |
| `temporal_projections` | queries, keys and values of temporal attention                       |
| `temporal_queries_keys` | of the `temporal` layers the queries and keys, which decide which    |
|                        | frames attend to which, and not what they take from each other      |
| `spatial`              | layers that tell appearance: spatial attention with its feed-forward |
| `spatial_attention`    | the attention over width and height alone                            |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeVar

from ..errors import AdapterError

Blocks = Literal["deep", "all"]
T = TypeVar("T")


def named_by_role(version: str, known: Mapping[str, T], role: str) -> T:
    """What a base has of a role; raises AdapterError, listing what it has, where it has none."""
    if role not in known:
        raise AdapterError(
            f"{version} has no layers of the kind {role!r}; it has {', '.join(known)}. Choose a "
            "method or setting that trains one of these, or another base."
        )
    return known[role]


def blocks_of(names: Iterable[str]) -> list[str]:
    """The blocks that the names lie in, such as "down_blocks.2" and "mid_block", in their order."""
    parts = (name.split(".") for name in names)
    blocks = (".".join(p[:2]) if p[1].isdigit() else p[0] for p in parts)
    return list(dict.fromkeys(blocks))
