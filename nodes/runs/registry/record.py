"""run.json: what a restarted server cannot know of a run from the trainer's records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from ....motion_core.training.records import read_object

RUN = "run.json"  # in a run folder


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run as it stands in run.json and, by the same names, in what the pages get.

    node_id, workflow_id, prompt_id, title, memory_total: see `RunOrigin`, of the node that worked
    on it last. part: how many times one did. nodes: [node id, workflow id] of each, the last one at
    the end. began, latest: seconds since 1970, of the first part and of the last. elapsed: seconds
    of all parts, None if no node worked on it. saved_as: names in the loaders' lists.
    """

    state: str = ""
    node_id: str = ""
    workflow_id: str = ""
    prompt_id: str = ""
    title: str = ""
    memory_total: int = 0
    part: int = 1
    nodes: Sequence[Sequence[str]] = ()
    began: float = 0.0
    latest: float = 0.0
    elapsed: float | None = None
    saved_as: Sequence[str] = ()
    message: str = ""


def read_record(folder: Path) -> RunRecord | None:
    """What run.json says; None if there is none, or a damaged one."""
    told = read_object(folder / RUN)
    known = {field.name: told[field.name] for field in fields(RunRecord) if field.name in told}
    return RunRecord(**known) if known else None
