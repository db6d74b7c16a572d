"""Measures rows: trains, samples, scores; what is finished is kept, so that a killed benchmark goes
on.

In: a plan and a folder. Out: a `RowResult` for each row, and a few of its clips for the eye. In the
folder: trainings/KEY and rows/NAME-KEY.json, keyed by a hash of all that decides them.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from motion_core.adapters.base import Adapter
from motion_core.backbones.base import Backbone as Network
from motion_core.backbones.files.tensors import open_tensors, write_tensors
from motion_core.bases import base_defaults, load_base
from motion_core.diffusion.encoding import encoders_digest
from motion_core.diffusion.settings import SampleSettings
from motion_core.errors import MotionError, SettingsError
from motion_core.events import EventSink
from motion_core.methods.base import applied_adapters
from motion_core.settings import to_mapping
from motion_core.shape_world.comparison import Comparison
from motion_core.shape_world.references import reference
from motion_core.shape_world.sampling import sample_clips
from motion_core.training.checkpoints import base_digest
from motion_core.training.records import write_json

from .code_digest import code_digest
from .results import RowResult, clip_record, from_plain, to_plain
from .rows import BASES, Plan, Row
from .subjects import subjects_for
from .trainings import Trained, Training, computed_by, digest, prepare, trained

SHOWN = 2
Announce = Callable[[str], None]


class Bench:
    """A plan, carried out row by row in `folder`."""

    def __init__(
        self, plan: Plan, folder: Path, device: torch.device, announce: Announce, sink: EventSink
    ) -> None:
        self.plan, self.folder, self.device = plan, folder, device
        self.announce, self.sink = announce, sink
        self.networks: dict[str, Network] = {}
        self.records: dict[str, Path] = {}
        self.code = code_digest([Comparison.__module__, sample_clips.__module__])

    def run(self) -> tuple[dict[str, RowResult], dict[str, str]]:
        """Results and, of rows that cannot be measured, the reason, both by name in the plan's
        order. One row's failure does not stop the others.
        """
        results: dict[str, RowResult] = {}
        failures: dict[str, str] = {}
        for number, row in enumerate(self.plan.rows, start=1):
            start = time.monotonic()
            try:
                results[row.name] = self.measure(row)
            except MotionError as error:
                failures[row.name] = str(error)
            state = "failed" if row.name in failures else "done"
            took = time.monotonic() - start
            self.announce(f"{number}/{len(self.plan.rows)} {row.name}: {state}, {took:.0f} s")
        return results, failures

    def measure(self, row: Row) -> RowResult:
        """One row, from the folder if it is there already; raises MotionError where it fails."""
        network = self._network(row)
        training = prepare(row, network, self.plan.train) if row.variant.method else None
        record = self.records[row.name] = self._record(row, training)
        if record.is_file():
            return from_plain(json.loads(record.read_text(encoding="utf-8")))
        learned = self._trained(training) if training else None
        result, clips = self._sampled(row, network, training, learned)
        write_tensors(record.with_suffix(".safetensors"), {"clips": clips}, {})
        write_json(record, to_plain(result))
        return result

    def shown_clips(self, row: Row) -> Tensor:
        """(N, F, 3, H, W) in [-1, 1]: the first clips of a measured row."""
        file = open_tensors(self.records[row.name].with_suffix(".safetensors"))
        return file.read("clips").float() / 127.5 - 1

    def comparison(self, row: Row) -> Comparison:
        """Whom the row's prompts ask for, and with which seeds."""
        return Comparison(
            reference=reference(row.motion),
            subjects=subjects_for(row.motion, self.plan.prompts),
            seeds=self.plan.seeds,
        )

    def sample_settings(self, row: Row) -> SampleSettings:
        """How the row is sampled: as its base is by default, but for the variant's settings."""
        usual = base_defaults(BASES[row.backbone]).usual_settings(self.plan.sample_steps)
        return dataclasses.replace(usual, **row.variant.sample)

    def _sampled(
        self, row: Row, network: Network, training: Training | None, learned: Trained | None
    ) -> tuple[RowResult, Tensor]:
        comparison, settings = self.comparison(row), self.sample_settings(row)
        applied: list[tuple[Adapter, float]] = []
        if training and learned:
            shown = applied_adapters(learned.adapters, training.method)
            applied = with_options(shown, row.variant.options, network)
        start = time.monotonic()
        clips = sample_clips(network, comparison.wanted(), applied, settings)
        seconds = time.monotonic() - start
        scores = zip(comparison.wanted(), comparison.score(clips), strict=True)
        result = RowResult(
            name=row.name,
            settings={
                **(training.plain_settings() if training else {}),
                "options": dict(row.variant.options),
                "sample": to_mapping(settings),
            },
            clips=[clip_record(prompt, seed, score) for (prompt, seed), score in scores],
            train_seconds=learned.seconds if learned else None,
            sample_seconds=seconds,
            parameters={
                name: sum(tensor.numel() for tensor in adapter.state_dict().values())
                for name, adapter in (learned.adapters if learned else {}).items()
            },
        )
        levels = (torch.stack(clips[:SHOWN]) + 1) * 127.5
        return result, levels.round().to(torch.uint8)

    def _trained(self, training: Training) -> Trained:
        return trained(training, self.folder / "trainings" / training.key, self.sink)

    def _record(self, row: Row, training: Training | None) -> Path:
        network, comparison = self._network(row), self.comparison(row)
        decided_by = {
            "training": training.key if training else None,
            "base": [base_digest(network.network), encoders_digest(network)],
            "options": dict(row.variant.options),
            "sample": to_mapping(self.sample_settings(row)),
            "wanted": comparison.wanted(),
            "motion": row.motion,
            "code": self.code,
            "computed_by": computed_by(network),
        }
        return self.folder / "rows" / f"{row.name.replace('/', '.')}-{digest(decided_by)[:16]}.json"

    def _network(self, row: Row) -> Network:
        base = BASES[row.backbone]
        if base not in self.networks:
            self.networks[base] = load_base(base, device=self.device)
        return self.networks[base]


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
