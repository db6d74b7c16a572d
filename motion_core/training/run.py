"""The steps of one training run: passes, events, records, checkpoints and resuming.

In: attached parameters and clips, see `trainer.train`, which prepares the model and restores it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..adapters.base import Adapter
from ..errors import TrainingError
from ..events import (
    Cancelled,
    CancelRun,
    Event,
    EventSink,
    Failed,
    Request,
    SampleMade,
    Saved,
    Started,
    StepDone,
    StopRun,
)
from ..methods.base import Attached, LossTerm
from ..settings import to_mapping
from ..types import Batch, LatentClip
from . import records as run_records
from .checkpoints import (
    Position,
    load_checkpoint,
    save_checkpoint,
)
from .process import MemoryUse, kept_global_rng, uninterrupted
from .settings import TrainSettings
from .stepper import Stepper

logger = logging.getLogger(__name__)

MakeSample = Callable[[Mapping[str, Adapter], int], SampleMade]


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """adapters: by group name. losses: by term name, (step, loss), earlier parts of a resumed run
    included.

    steps: done in all. seconds: spent in steps, in all.
    """

    adapters: Mapping[str, Adapter]
    steps: int
    losses: Mapping[str, Sequence[tuple[int, float]]]
    seconds: float


class TrainingRun:
    """The state of one call of `train`."""

    def __init__(
        self,
        *,
        clips: Sequence[LatentClip],
        attached: Attached,
        settings: TrainSettings,
        run_folder: Path,
        sink: EventSink,
        make_sample: MakeSample | None,
        description: Mapping[str, Any],
        rng: torch.Generator,
        device: torch.device,
        format_version: int,
    ) -> None:
        self.format_version = format_version
        self.clips, self.attached, self.settings = clips, attached, settings
        self.run_folder, self.sink, self.make_sample = run_folder, sink, make_sample
        self.description, self.rng, self.device = description, rng, device
        self.memory = MemoryUse(device)
        self.stepper = Stepper(groups=attached.groups, settings=settings, device=device)
        self.clips_left: list[int] = []
        self.position = self._stand(0)
        self.saved: Path | None = None
        self.is_whole = True  # parameters and position are of the same step
        self.from_sink: BaseException | None = None

    def to_the_end(self, checkpoint: Path | None) -> TrainResult:
        """Runs what is left of the run; on the way out a stopped run is saved and reported."""
        if checkpoint is not None:
            self._resume(checkpoint)
        run_records.truncate_metrics(self.run_folder, self.position.step)
        try:
            self._loop(resumed=checkpoint is not None)
        except torch.cuda.OutOfMemoryError as error:
            message = (
                f"The GPU ran out of memory in step {self.position.step + 1}. Use gradient "
                "checkpointing (in ComfyUI: memory = low) or bf16, fewer frames, a smaller size "
                "or fewer noise_draws."
            )
            self._keep()
            self._failed(message)
            raise TrainingError(message) from error
        except BaseException as error:
            if error is self.from_sink or isinstance(error, (CancelRun, KeyboardInterrupt)):
                self._cancelled()
            else:
                if not isinstance(error, TrainingError):  # learning itself did not go wrong
                    self._keep()
                self._failed(str(error))
            raise
        self._write_state("finished")
        rows = run_records.read_metrics(self.run_folder)
        return TrainResult(
            adapters=self.attached.adapters(),
            steps=self.position.step,
            losses=run_records.loss_history(rows),
            seconds=sum(row["seconds"] for row in rows),
        )

    def _loop(self, resumed: bool) -> None:
        settings = self.settings
        self._write_state("running")
        try:
            values = to_mapping(settings)
            step = self.position.step
            self._emit(Started(step=step, total=settings.steps, resumed=resumed, settings=values))
            while self.position.step < settings.steps:
                asked = self._emit(self._step()) or Request(0)
                step = self.position.step
                if Request.SAVE in asked or _due(settings.save_every, step):
                    self._save()
                sampling = Request.SAMPLE in asked or _due(settings.sample_every, step)
                if self.make_sample and sampling:
                    self._sample(self.make_sample)
        except StopRun:
            logger.info("Run stopped early, after %d steps.", self.position.step)
        with suppress(StopRun):
            self._save()

    def _step(self) -> StepDone:
        """One optimiser step: every pass of every batch first, then every optimiser that has a
        gradient.

        Deviation: the official MotionDirector code steps the spatial optimiser before the temporal
        backward, whose recomputed blocks then see other weights than its forward did.
        """
        start = time.perf_counter()
        terms: list[tuple[str, Tensor]] = []
        groups: set[str] = set()
        for _ in range(self.settings.accumulation):
            for term in self._terms(self._next_batch()):
                terms.append((term.name, self.stepper.backward(term)))
                groups.add(term.group)
        norms = self.stepper.clip_gradients(groups)
        losses, norm = self.stepper.checked(terms, norms, self.position.step)
        with uninterrupted():
            self.is_whole = False
            rate = self.stepper.step(groups, self.position.step)
            self.position = self._stand(self.position.step + 1)
            self.is_whole = True
            memory_now, memory_peak = self.memory.measure()
            done = StepDone(
                step=self.position.step,
                total=self.settings.steps,
                losses=losses,
                learning_rate=rate,
                grad_norm=norm,
                seconds=time.perf_counter() - start,
                memory_bytes=memory_peak,
                memory_now_bytes=memory_now,
            )
            run_records.append_metrics(self.run_folder, done)
        return done

    def _next_batch(self) -> Batch:
        """Noise draws of the next clip; the clips go round in an order that is shuffled anew each
        time.
        """
        if not self.clips_left:
            self.clips_left = torch.randperm(len(self.clips), generator=self.rng).tolist()
        index = self.clips_left.pop(0)
        clip, draws = self.clips[index], self.settings.noise_draws
        latents, prompt_embeds = (
            tensor.to(self.device, torch.float32, non_blocking=True)
            for tensor in (clip.latents, clip.prompt_embeds)
        )
        return Batch(
            latents=latents.repeat(draws, 1, 1, 1, 1),
            prompt_embeds=prompt_embeds.repeat(draws, 1, 1),
            clip_index=index,
            step=self.position.step,
            min_timestep=self.settings.min_timestep,
            base_preservation=self.settings.base_preservation,
        )

    def _terms(self, batch: Batch) -> Iterator[LossTerm]:
        """The method's passes; only the forward is under autocast, as torch asks for."""
        with closing(self.attached.passes(batch, self.rng)) as passes:
            while True:
                with self.stepper.autocast():
                    term = next(passes, None)
                if term is None:
                    return
                yield term

    def _sample(self, make_sample: MakeSample) -> None:
        with torch.no_grad(), kept_global_rng(self.device):
            self._emit(make_sample(self.attached.adapters(), self.position.step))

    def _stand(self, step: int) -> Position:
        cuda = self.device.type == "cuda"
        return Position(
            step=step,
            generator=self.rng.get_state(),
            dropout=torch.get_rng_state(),
            dropout_cuda=torch.cuda.get_rng_state(self.device) if cuda else None,
            clips_left=tuple(self.clips_left),
        )

    def _resume(self, checkpoint: Path) -> None:
        self.position, scaler = load_checkpoint(
            checkpoint, groups=self.attached.groups, optimisers=self.stepper.optimisers
        )
        self.rng.set_state(self.position.generator)
        torch.set_rng_state(self.position.dropout)
        if self.position.dropout_cuda is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(self.position.dropout_cuda, self.device)
        self.clips_left = list(self.position.clips_left)
        if scaler:
            self.stepper.scaler.load_state_dict(scaler)
        self.saved = checkpoint

    def _save(self, announce: EventSink | None = None) -> Path:
        """Writes the state after the last whole step, unless it is on the disk already. announce:
        the sink to tell.
        """
        if self.saved is not None and self.saved.name == f"step-{self.position.step}":
            return self.saved
        self.saved = save_checkpoint(
            self.run_folder,
            self.position,
            groups=self.attached.groups,
            optimisers=self.stepper.optimisers,
            scaler=self.stepper.scaler.state_dict(),
            description=self.description,
            format_version=self.format_version,
        )
        self._write_state("running")
        (announce or self._emit)(Saved(step=self.position.step, path=self.saved))
        return self.saved

    def _cancelled(self) -> None:
        path = self._save(announce=self._tell)
        self._write_state("cancelled")
        self._tell(Cancelled(step=self.position.step, path=path))

    def _keep(self) -> None:
        """Saves a failed run's last whole step, if there is one and the disk takes it; what is
        reported is the failure that came first.
        """
        if self.position.step == 0 or not self.is_whole:
            return
        try:
            self._save(announce=self._tell)
        except Exception:
            logger.warning("Step %d could not be saved.", self.position.step, exc_info=True)

    def _failed(self, message: str) -> None:
        self._write_state("failed")
        self._tell(Failed(step=self.position.step, message=message, path=self.saved))

    def _write_state(self, state: run_records.RunState) -> None:
        step, total = self.position.step, self.settings.steps
        run_records.write_state(self.run_folder, state, step=step, total=total)

    def _emit(self, event: Event) -> Request | None:
        try:
            return self.sink(event)
        except BaseException as error:
            self.from_sink = error
            raise

    def _tell(self, event: Event) -> None:
        """A last event: the run is over already, so what the sink raises now must not hide why."""
        try:
            self.sink(event)
        except Exception:
            logger.warning("The event sink failed on %s.", type(event).__name__, exc_info=True)


def _due(every: int, step: int) -> bool:
    return every > 0 and step % every == 0
