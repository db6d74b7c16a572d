"""What the pages are told of a run while it goes on: one small message for whatever changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .live_run import LiveRun

MESSAGE_BYTES = 1024
_TEXT = 120
_LEFT_OUT = ("title", "nodes", "began", "memory_total")
_SPARE = ("losses", "saved_as", "message", "asked")


def message(run: LiveRun, told: int) -> dict[str, Any]:
    """At most MESSAGE_BYTES of JSON: state, figures, how many samples and marks there are, and the
    points after step `told` if there is room. A page that lacks something asks for it.
    """
    for candidate in _candidates(run, told):
        if len(json.dumps(candidate)) <= MESSAGE_BYTES:
            return candidate
    raise AssertionError("a message of bounded values is too long")


def _candidates(run: LiveRun, told: int) -> Iterator[dict[str, Any]]:
    lists = run.lists()
    figures = {name: v for name, v in run.summary().items() if name not in _LEFT_OUT}
    figures["message"] = figures["message"][:_TEXT]
    figures["counts"] = {name: len(entries) for name, entries in lists.items()}
    points = run.points(told)
    yield {**figures, "since": told, "points": points}
    yield figures
    yield {name: value for name, value in figures.items() if name not in _SPARE}
