"""Measures rows, one training after the other: trains, samples, scores. What is finished is kept,
so that a killed benchmark goes on, on this machine or another.

In: a plan and two folders. Out: one record for each training of a row, in the folder of results;
trainings and a few clips for the eye in the cache. A record says what decided it: its
settings, `key`, a hash of base, clips and prompts, and `code`, one of the code that computes.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from motion_core.adapters.base import Adapter
from motion_core.backbones.base import Backbone as Network
from motion_core.backbones.files.tensors import open_tensors, write_tensors
from motion_core.bases import base_defaults, load_base
from motion_core.diffusion.encoding import encoders_digest
from motion_core.diffusion.generate import invert_clip
from motion_core.diffusion.settings import SampleSettings
from motion_core.errors import MotionError
from motion_core.events import EventSink
from motion_core.methods.appearance import appearance_names
from motion_core.methods.base import applied_adapters
from motion_core.settings import to_mapping
from motion_core.shape_world.base import CHECKPOINTS
from motion_core.shape_world.sampling import sample_clips
from motion_core.shape_world.scores import score_clip
from motion_core.training.checkpoints import base_digest

from .asking import Asked, asked_of
from .clock import Clock
from .code_digest import code_digest
from .kept import Kept, read_kept, same_settings, write_kept
from .motions import scene_of
from .playing import changes, scaled, with_options
from .results import ClipRecord, TrainingResult, clip_record
from .rows import BASES, Plan, Row, Unit
from .subjects import wearers_for
from .trainings import (
    Trained,
    Training,
    digest,
    encoded,
    method_of,
    prepare,
    prepare_looks,
    suits,
    trained,
    training_modules,
)

SHOWN = 2
DIGITS = 16
SCORING = (score_clip.__module__, sample_clips.__module__, invert_clip.__module__)
Announce = Callable[[str], None]
State = Literal["current", "other code", "not run yet"]


class Bench:
    """A plan, carried out in `records`, with trainings in `cache`."""

    def __init__(
        self,
        plan: Plan,
        records: Path,
        cache: Path,
        device: torch.device,
        announce: Announce,
        sink: EventSink,
    ) -> None:
        self.plan, self.records, self.cache, self.device = plan, records, cache, device
        self.announce, self.sink = announce, sink
        self.networks: dict[tuple[str, str | None], Network] = {}

    def run(self) -> dict[str, str]:
        """Measures what is not there yet, in the plan's order, and then what was measured by other
        code. Returns the reason of rows that cannot be measured, by name; one row's failure
        does not stop the others.
        """
        failures: dict[str, str] = {}
        states = {unit.name: self._state(unit, failures) for unit in self.plan.units}
        waiting = [
            unit
            for wanted in ("not run yet", "other code")
            for unit in self.plan.units
            if states[unit.name] == wanted
        ]
        for number, unit in enumerate(waiting, start=1):
            start = time.monotonic()
            try:
                self.measure(unit)
                state = "done"
            except MotionError as error:
                failures[unit.row.name] = str(error)
                state = "failed"
            took = time.monotonic() - start
            self.announce(f"{number}/{len(waiting)} {unit.name}: {state}, {took:.0f} s")
        return failures

    def state(self, unit: Unit) -> State:
        """Whether the record in the folder is what would be measured now; raises as `measure`."""
        kept = read_kept(self._record(unit))
        if kept is None:
            return "not run yet"
        training = self._prepared(unit)
        same = kept.training.key == self._key(unit, training)
        if not same or not same_settings(kept.settings, self._settings(unit.row, training)):
            return "not run yet"
        return "current" if kept.training.code == self._code(unit) else "other code"

    def states(self) -> dict[str, State]:
        """The state of every unit, by name; one that cannot be measured is not run yet."""
        return {unit.name: self._state(unit, {}) or "not run yet" for unit in self.plan.units}

    def measure(self, unit: Unit) -> None:
        """Measures one training of a row and keeps it; raises MotionError where it fails."""
        row, training = unit.row, self._prepared(unit)
        learned = self._trained(training) if training else None
        clock = Clock(self.device)
        clips = self._sampled(unit, training, learned)
        seconds = clock.seconds()
        result = TrainingResult(
            seed=unit.seed,
            key=self._key(unit, training),
            code=self._code(unit),
            clips=self._scored(row, clips),
            train_seconds=learned.seconds if learned else None,
            sample_seconds=seconds,
            parameters={
                name: sum(tensor.numel() for tensor in adapter.state_dict().values())
                for name, adapter in (learned.adapters if learned else {}).items()
            },
        )
        if unit.seed == 0:
            levels = ((torch.stack(clips[:SHOWN]) + 1) * 127.5).round().to(torch.uint8)
            write_tensors(self._shown(row, result.key), {"clips": levels}, {})
        kept = Kept(
            name=row.name,
            settings=self._settings(row, training),
            torch=torch.__version__,
            device=self.device.type,
            training=result,
        )
        write_kept(self._record(unit), kept)

    def shown_clips(self, row: Row) -> Tensor | None:
        """(N, F, 3, H, W) in [-1, 1]: the first clips of a measured row, if they lie in the
        cache."""
        kept = read_kept(self._record(Unit(row=row, seed=0)))
        if kept is None or not self._shown(row, kept.training.key).is_file():
            return None
        file = open_tensors(self._shown(row, kept.training.key))
        return file.read("clips").float() / 127.5 - 1

    def asked(self, row: Row) -> list[Asked]:
        """Whom the row is asked for."""
        return asked_of(row, self.plan.prompts)

    def sample_settings(self, row: Row) -> SampleSettings:
        """How the row is sampled: as suits its method and base, but for the variant's settings."""
        base = base_defaults(BASES[row.backbone])
        usual = base.usual_settings()
        if row.variant.method:
            usual = dataclasses.replace(
                usual, **suits(row, to_mapping(method_of(row).settings)).sample
            )
        steps = {"steps": self.plan.sample_steps} if self.plan.sample_steps else {}
        return dataclasses.replace(usual, **row.variant.sample, **steps)

    def _sampled(
        self, unit: Unit, training: Training | None, learned: Trained | None
    ) -> list[Tensor]:
        """The clips in the order of `asked`."""
        row, asked = unit.row, self.asked(unit.row)
        network = self._network(row, row.variant.checkpoint)
        settings = self.sample_settings(row)
        applied: list[tuple[Adapter, float]] = []
        if training and learned:
            shown = applied_adapters(learned.adapters, training.method)
            applied = with_options(scaled(shown, row.variant), row.variant.options, network)
        inverted = None
        if settings.noise_prior:
            inverted = invert_clip(network, encoded(network, row.motion))
        if row.variant.looks == "prompt":
            wanted = [(one.words, one.seed) for one in asked]
            return sample_clips(network, wanted, applied, settings, inverted)
        clips: list[Tensor] = []
        for _, same in groupby(asked, key=lambda one: one.subject):
            some = list(same)
            wanted = [(one.words, one.seed) for one in some]
            adapters = [*applied, (self._looks(unit, some[0]), 1.0)]
            clips += sample_clips(network, wanted, adapters, settings, inverted)
        return clips

    def _looks(self, unit: Unit, asked: Asked) -> Adapter:
        """What has learned how the one who is asked for looks."""
        network = self._network(unit.row)
        training = prepare_looks(unit.row, network, asked, self._more(unit))
        return self._trained(training).adapters[appearance_names(training.clips)[0]]

    def _scored(self, row: Row, clips: Sequence[Tensor]) -> list[ClipRecord]:
        """A record of each clip, in the order of `asked`."""
        wearers = wearers_for(row.motion, row.variant.clips)
        path = scene_of(row.motion).track.on_screen()
        return [
            clip_record(
                one.caption,
                one.seed,
                [score_clip(frames, one.subject, path, worn) for worn in wearers],
            )
            for one, frames in zip(self.asked(row), clips, strict=True)
        ]

    def _trained(self, training: Training) -> Trained:
        return trained(training, self.cache / "trainings" / training.folder, self.sink)

    def _prepared(self, unit: Unit) -> Training | None:
        if not unit.row.variant.method:
            return None
        return prepare(unit.row, self._network(unit.row), self._more(unit))

    def _more(self, unit: Unit) -> dict[str, object]:
        """Settings of a unit's training that win over all others."""
        return {"seed": unit.seed, **self.plan.train}

    def _settings(self, row: Row, training: Training | None) -> dict[str, object]:
        """All that decides a row and is told in its record: plain values."""
        return {
            **(training.plain_settings() if training else {}),
            **changes(row.variant),
            "sample": to_mapping(self.sample_settings(row)),
        }

    def _state(self, unit: Unit, failures: dict[str, str]) -> State | None:
        try:
            return self.state(unit)
        except MotionError as error:
            failures[unit.row.name] = str(error)
            return None

    def _key(self, unit: Unit, training: Training | None) -> str:
        """A hash of what decides the clips beside settings and code."""
        network = self._network(unit.row, unit.row.variant.checkpoint)
        asked = self.asked(unit.row)
        decided_by = {
            "clips": [clip.digest for clip in training.clips] if training else [],
            "base": [base_digest(network.network), encoders_digest(network)],
            "asked": [[one.words, one.caption, one.seed] for one in asked],
            "motion": unit.row.motion,
        }
        return digest(decided_by)[:DIGITS]

    def _code(self, unit: Unit) -> str:
        return code_digest([*SCORING, *training_modules(unit.row.variant)])[:DIGITS]

    def _record(self, unit: Unit) -> Path:
        return self.records / f"{unit.name}.json"

    def _shown(self, row: Row, key: str) -> Path:
        return self.cache / "shown" / f"{row.name.replace('/', '.')}-{key}.safetensors"

    def _network(self, row: Row, checkpoint: str | None = None) -> Network:
        base = BASES[row.backbone]
        if (base, checkpoint) not in self.networks:
            file = CHECKPOINTS[base][checkpoint] if checkpoint else None
            self.networks[base, checkpoint] = load_base(base, checkpoint=file, device=self.device)
        return self.networks[base, checkpoint]
