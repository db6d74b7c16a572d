"""The records of what was measured: a file for each training of a row, which git keeps.

In: a folder. Out: rows, each with all its trainings that were made alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motion_core.errors import FormatError
from motion_core.files import replacing

from .results import RowResult, TrainingResult, training_from_plain, training_to_plain

EARLIER = Path(__file__).parent / "earlier.json"
"""The rows of version 0.1.0: 8 prompts, each with the same three noises, and one training."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One training of a row. settings: as in `RowResult`. torch, device: that computed it."""

    name: str
    settings: Mapping[str, Any]
    torch: str
    device: str
    training: TrainingResult


def write_kept(file: Path, kept: Kept) -> None:
    """Writes the whole file or none. A clip is a line, so that changes can be read."""
    plain = {**vars(kept), "training": training_to_plain(kept.training)}
    clips = plain["training"].pop("clips")
    head = json.dumps(plain, indent=1, sort_keys=True, allow_nan=False)
    lines = ",\n".join(json.dumps(clip, allow_nan=False) for clip in clips)
    with replacing(file) as partial:
        partial.write_text(f'{{"clips": [\n{lines}\n],\n"row": {head}}}\n', encoding="utf-8")


def read_kept(file: Path) -> Kept | None:
    """None if there is no such file; raises FormatError if it is damaged."""
    if not file.is_file():
        return None
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
        row = plain["row"]
        training = training_from_plain({**row["training"], "clips": plain["clips"]})
        return Kept(**{**row, "training": training})
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{file.name} is not a record of the benchmark ({error}). Delete it; the row is then "
            "measured again."
        ) from error


def kept_rows(folder: Path, names: Iterable[str]) -> dict[str, RowResult]:
    """The measured rows of these names, in their order."""
    rows: dict[str, RowResult] = {}
    for name in names:
        pattern = f"{name.replace('/', '.')}.[0-9]*.json"
        found = [one for file in sorted(folder.glob(pattern)) if (one := read_kept(file))]
        if found:
            rows[name] = _row([one for one in found if _alike(one, found[0])])
    return rows


def same_settings(kept: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a record's settings are today's. Settings that there were not then don't count: what
    a new one changes unasked is a change of the code.
    """
    before, today = (json.loads(json.dumps(settings)) for settings in (kept, now))
    return before.keys() == today.keys() and all(
        today[name].items() >= value.items() if isinstance(value, dict) else today[name] == value
        for name, value in before.items()
    )


def earlier_rows(file: Path = EARLIER) -> dict[str, RowResult]:
    """The rows of version 0.1.0, by name."""
    plain = json.loads(file.read_text(encoding="utf-8"))
    rows = (
        RowResult(
            name=row["name"],
            settings=row["settings"],
            trainings=(training_from_plain(row["training"]),),
        )
        for row in plain
    )
    return {row.name: row for row in rows}


def _row(found: list[Kept]) -> RowResult:
    return RowResult(
        name=found[0].name,
        settings=found[0].settings,
        trainings=tuple(sorted((one.training for one in found), key=lambda one: one.seed)),
    )


def _alike(one: Kept, first: Kept) -> bool:
    """Trainings of other settings or prompts, older ones, are none of the same row."""
    same_prompts = [c.prompt for c in one.training.clips] == [
        c.prompt for c in first.training.clips
    ]
    return one.settings == first.settings and same_prompts
