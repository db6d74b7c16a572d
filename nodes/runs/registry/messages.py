"""What the pages are told of a run while it goes on: one small message for whatever changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .live_run import LiveRun

MESSAGE_BYTES = 1024
# Of these a server takes some for its own {"type": …, "data": …} around the message.
_ROOM = MESSAGE_BYTES - 64
_TEXT, _ID = 120, 80
_IDS = ("node_id", "workflow_id", "prompt_id")
_LEFT_OUT = ("title", "nodes", "began", "memory_total", "trained_from")
_SPARE = ("losses", "saved_as", "message", "asked")


def message(run: LiveRun, told: int) -> dict[str, Any]:
    """At most MESSAGE_BYTES of JSON with what a server puts around it: state, figures, how many
    samples and marks there are, and the points after step `told` if there is room. A page that
    lacks something asks for it.
    """
    *roomy, smallest = _candidates(run, told)
    return next((candidate for candidate in roomy if _size(candidate) <= _ROOM), smallest)


def _candidates(run: LiveRun, told: int) -> Iterator[dict[str, Any]]:
    lists = run.lists()
    figures = {name: v for name, v in run.summary().items() if name not in _LEFT_OUT}
    figures["message"] = figures["message"][:_TEXT]
    figures |= {name: _cut(figures[name], _ID) for name in _IDS}
    figures["counts"] = {name: len(entries) for name, entries in lists.items()}
    points = run.points(told)
    yield {**figures, "since": told, "points": points}
    yield figures
    yield {name: value for name, value in figures.items() if name not in _SPARE}


def _cut(text: str, most: int) -> str:
    """The beginning that takes no more than `most` bytes of JSON. Only a script's ids are longer,
    and pages know a run by its own.
    """
    text = text[:most]
    while _size(text) > most:
        text = text[:-1]
    return text


def _size(value: object) -> int:
    return len(json.dumps(value))
