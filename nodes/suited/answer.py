"""An answer to what suits a node, and what is known of the machine that gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..widget_values import Widget
from .connected import FolderOf


@dataclass(frozen=True, kw_only=True)
class Answer:
    """values: of the node's widgets, by input. to: whom they suit, by name. becomes: what its
    words mean here, by input. then: of a node of version 0.1.0, the values that ran.
    """

    values: Mapping[str, Widget]
    to: Mapping[str, str | int]
    becomes: Mapping[str, str] = field(default_factory=dict)
    then: Mapping[str, Widget] | None = None


@dataclass(frozen=True, kw_only=True)
class Here:
    """folders: see `FolderOf`. precision: what "auto" is on this machine."""

    folders: FolderOf
    precision: str
