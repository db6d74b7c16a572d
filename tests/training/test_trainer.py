"""The loop: what is stepped and when, stopping and going on, what is logged, what is put back."""

from __future__ import annotations

import dataclasses
import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from motion_core.adapters.base import Adapter
from motion_core.backbones.base import Backbone
from motion_core.backbones.frames import FrameRule
from motion_core.errors import ClipError, SettingsError, TrainingError
from motion_core.events import (
    Cancelled,
    CancelRun,
    Event,
    EventSink,
    Failed,
    Finished,
    Request,
    SampleMade,
    Saved,
    Started,
    StepDone,
    StopRun,
    ignore_events,
)
from motion_core.methods.base import Attached, LossTerm
from motion_core.methods.motion_director import (
    MotionDirector,
    MotionDirectorSettings,
)
from motion_core.training.process import MemoryUse, uninterrupted
from motion_core.training.records import read_metrics
from motion_core.training.settings import TrainSettings
from motion_core.training.trainer import TrainResult, train
from motion_core.types import Batch, LatentClip

from ..runs import (
    RESUME_SETTINGS,
    LeastSquares,
    LeastSquaresSettings,
    constant_clip,
    latent_clip,
    resume_method,
)
from ..tiny import tiny_animatediff, tiny_zeroscope

TWO_CLIPS = [latent_clip(seed=0), latent_clip(seed=1)]
TINY_LORA = MotionDirectorSettings(rank=2)
SHORT = TrainSettings(steps=2, checkpointing=False)


def tensors(result: TrainResult) -> dict[str, Tensor]:
    return {
        f"{name} {key}": tensor
        for name, adapter in result.adapters.items()
        for key, tensor in adapter.state_dict().items()
    }


def assert_same_run(one: TrainResult, other: TrainResult) -> None:
    """Losses and weights bit for bit."""
    assert one.losses == other.losses
    assert tensors(one).keys() == tensors(other).keys()
    assert all(torch.equal(tensor, tensors(other)[key]) for key, tensor in tensors(one).items())


def raise_at(step: int, error: BaseException) -> Callable[[Event], None]:
    def sink(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == step:
            raise error

    return sink


def state(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "state.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The run that the resumed ones must equal: two clips, dropout on, never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    return train(tiny_animatediff(), TWO_CLIPS, resume_method(), RESUME_SETTINGS, folder)


# Resuming


def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, whole_run: TrainResult) -> None:
    """SIGKILL after step 5, the last checkpoint being step 4: step 5 is done again, and logged
    once.
    """
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-m", "tests.runs", str(tmp_path)], cwd=root, check=False)
    assert run.returncode == -signal.SIGKILL
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3, 4, 5]
    assert state(tmp_path) == {"state": "running", "step": 4, "total": 6}
    resumed = train(tiny_animatediff(), TWO_CLIPS, resume_method(), RESUME_SETTINGS, tmp_path)
    assert_same_run(resumed, whole_run)
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert state(tmp_path) == {"state": "finished", "step": 6, "total": 6}


@pytest.mark.parametrize("error", [CancelRun(), KeyboardInterrupt(), RuntimeError("interrupted")])
def test_a_cancelled_run_goes_on_bit_for_bit(
    tmp_path: Path, whole_run: TrainResult, error: BaseException
) -> None:
    """What the sink raises at step 3 comes back out; step 3 is saved although save_every is 2."""
    events: list[Event] = []

    def sink(event: Event) -> None:
        events.append(event)
        raise_at(3, error)(event)

    with pytest.raises(type(error)):
        train(tiny_animatediff(), TWO_CLIPS, resume_method(), RESUME_SETTINGS, tmp_path, sink)
    step_3 = tmp_path / "checkpoints" / "step-3"
    assert events[-1] == Cancelled(step=3, path=step_3) and step_3.is_dir()
    assert state(tmp_path)["state"] == "cancelled"
    events.clear()
    resumed = train(
        tiny_animatediff(), TWO_CLIPS, resume_method(), RESUME_SETTINGS, tmp_path, events.append
    )
    assert isinstance(events[0], Started) and events[0].resumed and events[0].step == 3
    assert_same_run(resumed, whole_run)


class Interrupted(LeastSquares):
    """Ctrl-C in the middle of a step: after the first group's backward of the n-th batch."""

    def __init__(self, settings: LeastSquaresSettings, batch: int) -> None:
        super().__init__(settings)
        self.batch = batch

    def passes(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        for term in super().passes(batch, rng):
            yield term
            if len(self.seen) == self.batch:
                raise KeyboardInterrupt


def test_an_interrupt_within_a_step_saves_the_state_before_it(tmp_path: Path) -> None:
    """The noise and the clip of the broken step are drawn again, so all steps after it are the
    same.
    """
    clips = [constant_clip(1.0), constant_clip(2.0), constant_clip(4.0)]
    settings = TrainSettings(steps=5, accumulation=2)
    terms = LeastSquaresSettings(groups=("a", "b"), noise=1.0)
    backbone = tiny_animatediff()
    whole = LeastSquares(terms)
    expected = train(backbone, clips, whole, settings, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(backbone, clips, Interrupted(terms, batch=6), settings, tmp_path / "broken")
    assert state(tmp_path / "broken") == {"state": "cancelled", "step": 2, "total": 5}
    resumed = LeastSquares(terms)
    result = train(backbone, clips, resumed, settings, tmp_path / "broken")
    assert result.losses == expected.losses
    assert resumed.current() == whole.current()
    assert whole.seen[4:] == resumed.seen


def test_a_finished_run_gives_its_result_again(tmp_path: Path) -> None:
    backbone = tiny_animatediff()
    first = train(backbone, TWO_CLIPS, MotionDirector(TINY_LORA), SHORT, tmp_path)
    events: list[Event] = []
    again = train(backbone, TWO_CLIPS, MotionDirector(TINY_LORA), SHORT, tmp_path, events.append)
    assert_same_run(again, first)
    assert [type(event) for event in events] == [Started, Finished]


def test_a_run_may_be_made_longer_but_not_otherwise_changed(tmp_path: Path) -> None:
    backbone, clips = tiny_animatediff(), [constant_clip(1.0)]
    settings = TrainSettings(steps=2)
    train(backbone, clips, LeastSquares(), settings, tmp_path)
    longer = dataclasses.replace(settings, steps=3, save_every=1)
    assert train(backbone, clips, LeastSquares(), longer, tmp_path).steps == 3
    with pytest.raises(TrainingError, match=r"training\.seed was 0, now 1"):
        train(backbone, clips, LeastSquares(), dataclasses.replace(settings, seed=1), tmp_path)
    with pytest.raises(TrainingError, match=r"clips\.0 was 'constant-1.0', now 'constant-2.0'"):
        train(backbone, [constant_clip(2.0)], LeastSquares(), settings, tmp_path)
    with pytest.raises(TrainingError, match=r"base\.weights"):
        train(tiny_animatediff(seed=1), clips, LeastSquares(), settings, tmp_path)
    with pytest.raises(TrainingError, match=r"objective\.settings\.noise was 0\.0, now 0\.5"):
        noisy = LeastSquares(LeastSquaresSettings(noise=0.5))
        train(backbone, clips, noisy, settings, tmp_path)
    for part in (backbone.text.model, backbone.vae):
        with torch.no_grad():
            next(part.parameters()).add_(1.0)
        with pytest.raises(TrainingError, match=r"base\.encoders was"):
            train(backbone, clips, LeastSquares(), settings, tmp_path)
        with torch.no_grad():
            next(part.parameters()).sub_(1.0)


# What is stepped, and when


def test_accumulation_is_the_mean_over_batches(tmp_path: Path) -> None:
    """Clips 1 and 3, p = 0: gradients 2(p − x) = −2 and −6, mean −4; losses 1 and 9, mean 5.

    AdamW's first average is (1 − 0.9)·(−4) = −0.4, and its first step lr·sign: p = 0.1.
    """
    clips, events = [constant_clip(1.0), constant_clip(3.0)], list[Event]()
    method = LeastSquares()
    settings = TrainSettings(steps=1, accumulation=2)
    train(tiny_animatediff(), clips, method, settings, tmp_path, events.append)
    done = next(event for event in events if isinstance(event, StepDone))
    assert done.grad_norm == pytest.approx(4.0)
    assert done.losses == {"loss a": 5.0}
    moments = load_file(tmp_path / "checkpoints" / "step-1" / "optimisers.safetensors")
    assert moments["a/0/exp_avg"].item() == pytest.approx(-0.4)
    assert method.current() == (pytest.approx(0.1),)


def test_accumulation_equals_a_batch_of_draws(tmp_path: Path) -> None:
    """The loss is a mean over the batch, so 4 draws at once and 4 batches of one draw, of the same
    generator, agree.
    """
    values = []
    for name, draws, batches in (("batch", 4, 1), ("accumulated", 1, 4)):
        method = LeastSquares(LeastSquaresSettings(noise=1.0))
        settings = TrainSettings(steps=5, noise_draws=draws, accumulation=batches)
        result = train(tiny_animatediff(), [constant_clip(2.0)], method, settings, tmp_path / name)
        values.append((method.current(), [loss for _, loss in result.losses["loss a"]]))
    assert values[0][0] == pytest.approx(values[1][0], rel=1e-6)
    assert values[0][1] == pytest.approx(values[1][1], rel=1e-6)


def test_gradients_are_clipped_group_by_group(tmp_path: Path) -> None:
    """p = 0, x = 3: the gradient is −6 in both groups, norm √72 before; clipped to −1.5, average
    −0.15.
    """
    events: list[Event] = []
    method = LeastSquares(LeastSquaresSettings(groups=("a", "b")))
    settings = TrainSettings(steps=1, max_grad_norm=1.5)
    train(tiny_animatediff(), [constant_clip(3.0)], method, settings, tmp_path, events.append)
    done = next(event for event in events if isinstance(event, StepDone))
    assert done.grad_norm == pytest.approx(72**0.5)
    moments = load_file(tmp_path / "checkpoints" / "step-1" / "optimisers.safetensors")
    for group in ("a", "b"):
        assert moments[f"{group}/0/exp_avg"].item() == pytest.approx(-0.15, rel=1e-5)


def test_nothing_is_stepped_before_the_last_pass(tmp_path: Path) -> None:
    """Within a step both groups' passes see the parameters that the step began with; then both have
    moved.
    """
    method = LeastSquares(LeastSquaresSettings(groups=("a", "b")))
    train(tiny_animatediff(), [constant_clip(1.0)], method, TrainSettings(steps=2), tmp_path)
    first, second, third, fourth = method.values
    assert first == second == (0.0, 0.0)
    assert third == fourth == (pytest.approx(0.1), pytest.approx(0.1))


def test_learning_rate_and_weight_decay_are_the_runs_or_the_methods(tmp_path: Path) -> None:
    """AdamW's first step is −lr·(sign g + wd·p), and p = 0: lr alone. Warm-up over 2: half of it
    first.
    """
    for index, (rate, expected) in enumerate([(None, 0.1), (0.03, 0.03)]):
        method, events = LeastSquares(), list[Event]()
        settings = TrainSettings(steps=1, learning_rate=rate, warmup_steps=2)
        folder = tmp_path / str(index)
        train(tiny_animatediff(), [constant_clip(1.0)], method, settings, folder, events.append)
        done = next(event for event in events if isinstance(event, StepDone))
        assert done.learning_rate == pytest.approx(expected / 2)
        assert method.current() == (pytest.approx(expected / 2),)


def test_only_the_drawn_videos_group_is_stepped(tmp_path: Path) -> None:
    """After one step one spatial LoRA has B ≠ 0 and an AdamW state, the other has not."""
    settings = dataclasses.replace(SHORT, steps=1)
    method = MotionDirector(MotionDirectorSettings(rank=2, spatial_dropout_p=0.0))
    result = train(tiny_animatediff(), TWO_CLIPS, method, settings, tmp_path)
    moved = {
        name: any(pair.up.abs().sum() > 0 for pair in adapter.pairs.values())  # type: ignore[attr-defined]
        for name, adapter in result.adapters.items()
    }
    assert moved["temporal"] and moved["spatial.0"] != moved["spatial.1"]
    moments = load_file(tmp_path / "checkpoints" / "step-1" / "optimisers.safetensors")
    stepped = {key.split("/")[0] for key in moments}
    assert stepped == {name for name, has_moved in moved.items() if has_moved}


def test_clips_go_round_in_shuffled_rounds(tmp_path: Path) -> None:
    method = LeastSquares()
    clips = [constant_clip(float(value)) for value in range(5)]
    train(tiny_animatediff(), clips, method, TrainSettings(steps=20), tmp_path)
    rounds = [method.seen[start : start + 5] for start in range(0, 20, 5)]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in rounds)
    assert len({tuple(order) for order in rounds}) > 1


def test_least_squares_converges(tmp_path: Path) -> None:
    """The minimum of the mean of (p − 1)² and (p − 3)² is p = 2."""
    method = LeastSquares()
    clips = [constant_clip(1.0), constant_clip(3.0)]
    settings = TrainSettings(steps=100, accumulation=2, lr_schedule="cosine")
    train(tiny_animatediff(), clips, method, settings, tmp_path)
    assert method.current() == (pytest.approx(2.0, abs=0.02),)


# Events and records


def test_events_of_a_run(tmp_path: Path) -> None:
    events: list[Event] = []
    settings = TrainSettings(steps=3, save_every=2)
    train(
        tiny_animatediff(), [constant_clip(2.0)], LeastSquares(), settings, tmp_path, events.append
    )
    kinds = [(type(event), event.step) for event in events]
    assert kinds == [
        (Started, 0),
        (StepDone, 1),
        (StepDone, 2),
        (Saved, 2),
        (StepDone, 3),
        (Saved, 3),
        (Finished, 3),
    ]
    last = events[4]
    assert isinstance(last, StepDone) and last.total == 3
    assert last.seconds > 0 and last.memory_bytes >= last.memory_now_bytes > 1e6
    assert events[-1] == Finished(step=3, losses=last.losses)
    assert read_metrics(tmp_path, since=2) == [
        {
            "step": 3,
            "losses": last.losses,
            "learning_rate": last.learning_rate,
            "grad_norm": last.grad_norm,
            "seconds": last.seconds,
            "memory_bytes": last.memory_bytes,
            "memory_now_bytes": last.memory_now_bytes,
        }
    ]
    assert json.loads((tmp_path / "settings.json").read_text())["training"]["seed"] == 0


def test_a_damaged_line_of_metrics_stops_no_run(tmp_path: Path) -> None:
    """It is gone once the run has gone on, and its step is not trained again."""
    settings, clips = TrainSettings(steps=3, save_every=1), [constant_clip(2.0)]
    train(tiny_animatediff(), clips, LeastSquares(), settings, tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    (tmp_path / "metrics.jsonl").write_text("\n".join([lines[0], "nonsense", lines[2], ""]))
    longer = dataclasses.replace(settings, steps=4)
    result = train(tiny_animatediff(), clips, LeastSquares(), longer, tmp_path)
    assert [step for step, _ in result.losses["loss a"]] == [1, 3, 4]
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").open()] == [1, 3, 4]


def test_the_peak_is_that_of_this_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resident memory of 3, 5 and 2 bytes, and of 4 in the next training of the process."""
    sizes = iter([3, 5, 2, 4])
    monkeypatch.setattr(
        psutil.Process, "memory_info", lambda self: SimpleNamespace(rss=next(sizes))
    )
    use = MemoryUse(torch.device("cpu"))
    assert [use.measure() for _ in range(3)] == [(3, 3), (5, 5), (2, 5)]
    assert MemoryUse(torch.device("cpu")).measure() == (4, 4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_peak_on_a_gpu_is_that_of_this_training() -> None:
    """What was taken before and is free again does not count; what lies there does."""
    device = torch.device("cuda")
    large = torch.empty(2**26, dtype=torch.uint8, device=device)
    del large
    use = MemoryUse(device)
    before, _ = use.measure()
    small = torch.empty(2**20, dtype=torch.uint8, device=device)
    assert use.measure() == (before + 2**20, before + 2**20)
    del small
    assert use.measure() == (before, before + 2**20)


def test_stop_run_keeps_what_is_learned_and_may_go_on(tmp_path: Path) -> None:
    settings = TrainSettings(steps=4)
    clips, backbone = [constant_clip(1.0)], tiny_animatediff()
    stopped = train(backbone, clips, LeastSquares(), settings, tmp_path, raise_at(2, StopRun()))
    assert stopped.steps == 2 and state(tmp_path)["state"] == "finished"
    assert train(backbone, clips, LeastSquares(), settings, tmp_path).steps == 4


def test_a_sink_that_always_raises_still_leaves_a_checkpoint(tmp_path: Path) -> None:
    def sink(event: Event) -> None:
        raise CancelRun

    with pytest.raises(CancelRun):
        train(
            tiny_animatediff(),
            [constant_clip(1.0)],
            LeastSquares(),
            TrainSettings(),
            tmp_path,
            sink,
        )
    assert (tmp_path / "checkpoints" / "step-0" / "state.json").exists()


def test_samples_see_the_base_and_disturb_nothing(tmp_path: Path) -> None:
    """In make_sample the base is itself, adapters can be applied, and random draws do not reach the
    training.
    """
    backbone, clip, events = tiny_animatediff(), TWO_CLIPS[0], list[Event]()
    settings = dataclasses.replace(RESUME_SETTINGS, steps=4, sample_every=2)

    def output() -> Tensor:
        return backbone.predict(clip.latents, torch.tensor([500]), clip.prompt_embeds)

    with torch.no_grad():
        base = output()

    def make_sample(adapters: Mapping[str, Adapter], step: int) -> SampleMade:
        torch.randn(7)
        assert torch.equal(output(), base)
        with adapters["temporal"].applied(backbone, 1.0):
            assert not torch.equal(output(), base)
        return SampleMade(step=step, prompt=clip.prompt, frames_path=tmp_path / f"{step}.mp4")

    sampled = train(
        backbone,
        TWO_CLIPS,
        resume_method(),
        settings,
        tmp_path / "sampled",
        events.append,
        make_sample=make_sample,
    )
    made = [event.step for event in events if isinstance(event, SampleMade)]
    assert made == [2, 4]
    plain = dataclasses.replace(settings, sample_every=0)
    assert_same_run(sampled, train(backbone, TWO_CLIPS, resume_method(), plain, tmp_path / "plain"))


def test_a_sink_can_ask_for_a_checkpoint_and_a_sample(tmp_path: Path) -> None:
    """Each answer is done once, after the step that it answers, and changes no weight."""
    answers = {1: Request.SAVE, 3: Request.SAMPLE, 4: Request.SAVE | Request.SAMPLE}
    settings = dataclasses.replace(RESUME_SETTINGS, save_every=0)
    seen: list[tuple[str, int]] = []

    def sink(event: Event) -> Request | None:
        if isinstance(event, (Saved, SampleMade)):
            seen.append((type(event).__name__, event.step))
        return answers.get(event.step) if isinstance(event, StepDone) else None

    def make_sample(adapters: Mapping[str, Adapter], step: int) -> SampleMade:
        return SampleMade(step=step, prompt="", frames_path=tmp_path / f"{step}.mp4")

    def trained(folder: str, sink: EventSink) -> TrainResult:
        return train(
            tiny_animatediff(),
            TWO_CLIPS,
            resume_method(),
            settings,
            tmp_path / folder,
            sink,
            make_sample=make_sample,
        )

    asked = trained("asked", sink)
    assert seen == [
        ("Saved", 1),
        ("SampleMade", 3),
        ("Saved", 4),
        ("SampleMade", 4),
        ("Saved", 6),
    ]
    assert_same_run(asked, trained("plain", ignore_events))


def test_a_sample_that_is_asked_for_needs_a_way_to_make_it(tmp_path: Path) -> None:
    """Without make_sample the request does nothing."""
    events: list[Event] = []

    def asking(event: Event) -> Request:
        events.append(event)
        return Request.SAMPLE

    train(tiny_animatediff(), TWO_CLIPS, LeastSquares(), SHORT, tmp_path, asking)
    assert isinstance(events[-1], Finished)
    assert not any(isinstance(event, SampleMade) for event in events)


# Failing


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    """The clip with infinite latents comes at step 1 or 2; what was saved before stays."""
    broken = dataclasses.replace(TWO_CLIPS[1], latents=torch.full((1, 4, 3, 4, 4), torch.inf))
    events: list[Event] = []
    settings = TrainSettings(steps=4, save_every=1, checkpointing=False, seed=1)
    backbone = tiny_animatediff()
    with pytest.raises(TrainingError, match=r"step \d the loss '\w+' is nan.*learning rate"):
        train(
            backbone,
            [TWO_CLIPS[0], broken],
            MotionDirector(TINY_LORA),
            settings,
            tmp_path,
            events.append,
        )
    failed = events[-1]
    assert isinstance(failed, Failed) and "is nan" in failed.message
    steps = [event.step for event in events if isinstance(event, StepDone)]
    assert failed.step == len(steps)
    saved = tmp_path / "checkpoints" / f"step-{failed.step}"
    assert failed.path == (saved if steps else None)
    assert state(tmp_path)["state"] == "failed"


def test_a_failing_sample_loses_no_step(tmp_path: Path, whole_run: TrainResult) -> None:
    """save_every is 2 and the sample of step 3 fails: step 3 is saved, and the run goes on from it
    to the same weights.
    """
    events: list[Event] = []
    settings = dataclasses.replace(RESUME_SETTINGS, sample_every=3)

    def make_sample(adapters: Mapping[str, Adapter], step: int) -> SampleMade:
        raise OSError("no room for the video")

    with pytest.raises(OSError, match="no room"):
        train(
            tiny_animatediff(),
            TWO_CLIPS,
            resume_method(),
            settings,
            tmp_path,
            events.append,
            make_sample=make_sample,
        )
    step_3 = tmp_path / "checkpoints" / "step-3"
    assert events[-2:] == [
        Saved(step=3, path=step_3),
        Failed(step=3, message="no room for the video", path=step_3),
    ]
    assert state(tmp_path)["state"] == "failed"
    resumed = train(tiny_animatediff(), TWO_CLIPS, resume_method(), RESUME_SETTINGS, tmp_path)
    assert_same_run(resumed, whole_run)


def test_a_save_that_fails_too_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Event] = []

    def full(*args: object, **kwargs: object) -> Path:
        raise OSError("disk full")

    def make_sample(adapters: Mapping[str, Adapter], step: int) -> SampleMade:
        raise ValueError("the sample")

    monkeypatch.setattr("motion_core.training.run.save_checkpoint", full)
    settings = TrainSettings(steps=2, sample_every=1)
    with pytest.raises(ValueError, match="the sample"):
        train(
            tiny_animatediff(),
            [constant_clip(1.0)],
            LeastSquares(),
            settings,
            tmp_path,
            events.append,
            make_sample=make_sample,
        )
    assert events[-1] == Failed(step=1, message="the sample", path=None)
    assert "Step 1 could not be saved" in caplog.text


@pytest.mark.parametrize("batch", [1, 2])
def test_a_step_that_fails_halfway_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Group a is stepped, b is not: that is no step's state."""
    method = LeastSquares(LeastSquaresSettings(groups=("a", "b")))
    step, calls = torch.optim.AdamW.step, list[int]()

    def breaking(optimiser: torch.optim.AdamW, *args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 2 * batch:
            raise RuntimeError("broken")
        return step(optimiser, *args, **kwargs)

    monkeypatch.setattr("torch.optim.AdamW.step", breaking)
    with pytest.raises(RuntimeError, match="broken"):
        train(tiny_animatediff(), [constant_clip(1.0)], method, TrainSettings(), tmp_path)
    assert method.current()[0] != method.current()[1]
    assert not (tmp_path / "checkpoints").exists()


class Steep(LeastSquares):
    """√p at p = 0: the loss is 0, its gradient 1 / (2√p) infinite."""

    def passes(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        yield LossTerm("root", self.made["a"].parameters[0].sqrt().sum(), "a")


def test_a_gradient_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    method = Steep()
    with pytest.raises(TrainingError, match="step 1 the gradient of 'a' is inf"):
        train(tiny_animatediff(), [constant_clip(1.0)], method, TrainSettings(), tmp_path)
    assert method.current() == (0.0,)


class Overflowing(LeastSquares):
    """(p·1e-25)·1e35: the gradient is 1e10, but on the way backward has scale·1e35."""

    def passes(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        yield LossTerm("product", (self.made["a"].parameters[0] * 1e-25 * 1e35).sum(), "a")


def test_fp16_scales_the_loss_and_skips_what_overflows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's scaler starts at 2¹⁶ and halves at each overflow; float32 stands in for fp16, which
    needs a GPU.

    2ⁿ·1e35 fits into float32 (3.4e38) from 2¹¹ (2.0e38) on: the steps at 2¹⁶ … 2¹² are skipped, the
    6th is taken.
    """
    monkeypatch.setattr(TrainSettings, "dtype_on", lambda self, device: torch.float32)
    method, events = Overflowing(), list[Event]()
    settings = TrainSettings(steps=6, precision="fp16", save_every=5)
    clips = [constant_clip(1.0)]
    train(tiny_animatediff(), clips, method, settings, tmp_path, events.append)
    norms = [event.grad_norm for event in events if isinstance(event, StepDone)]
    assert norms[:5] == [math.inf] * 5 and norms[5] == pytest.approx(1e10)
    assert method.current() == (pytest.approx(-0.1),)
    assert read_metrics(tmp_path)[0]["grad_norm"] is None
    saved = {}
    for step in (5, 6):
        folder = tmp_path / "checkpoints" / f"step-{step}"
        saved[step] = load_file(folder / "parameters.safetensors")["a/0"].item()
        scaler = json.loads((folder / "state.json").read_text(encoding="utf-8"))["scaler"]
        assert scaler["scale"] == 2.0**11
    assert saved == {5: 0.0, 6: pytest.approx(-0.1)}


@pytest.mark.parametrize("ending", ["finished", "cancelled", "failed"])
def test_the_base_is_put_back(tmp_path: Path, ending: str) -> None:
    backbone = tiny_zeroscope()
    weights = {name: tensor.clone() for name, tensor in backbone.network.state_dict().items()}
    modules = [type(module) for module in backbone.network.modules()]
    flags = [parameter.requires_grad for parameter in backbone.network.parameters()]
    torch.manual_seed(7)
    before = torch.get_rng_state()
    clip = TWO_CLIPS[0]
    if ending == "failed":
        clip = dataclasses.replace(clip, latents=clip.latents * torch.inf)
    sink = raise_at(1, CancelRun() if ending == "cancelled" else StopRun())
    settings = TrainSettings(steps=3, precision="bf16")
    with suppress(CancelRun, TrainingError):
        train(backbone, [clip], MotionDirector(TINY_LORA), settings, tmp_path, sink)
    assert state(tmp_path)["state"] == ending
    after = backbone.network.state_dict()
    assert after.keys() == weights.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in weights.items())
    assert [type(module) for module in backbone.network.modules()] == modules
    assert [parameter.requires_grad for parameter in backbone.network.parameters()] == flags
    assert torch.equal(torch.get_rng_state(), before)


class Watched(MotionDirector):
    """Notes the dtypes that the base has while it is trained on."""

    dtypes: set[torch.dtype]

    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> AbstractContextManager[Attached]:
        self.dtypes = {parameter.dtype for parameter in backbone.network.parameters()}
        return super().attach(backbone, clips, rng)


@pytest.mark.parametrize("make", [tiny_animatediff, tiny_zeroscope])
def test_half_precision_base_keeps_float32_trainables(
    tmp_path: Path, make: Callable[[], Backbone]
) -> None:
    method = Watched(TINY_LORA)
    settings = dataclasses.replace(SHORT, precision="bf16")
    result = train(make(), TWO_CLIPS[:1], method, settings, tmp_path)
    assert method.dtypes == {torch.bfloat16}
    saved = load_file(tmp_path / "checkpoints" / "step-2" / "parameters.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
    assert all(torch.isfinite(tensor).all() for tensor in tensors(result).values())


def test_training_inside_inference_mode(tmp_path: Path) -> None:
    """ComfyUI calls nodes under inference_mode, and clips encoded there are inference tensors."""
    backbone = tiny_animatediff()
    with torch.inference_mode():
        clip = latent_clip()
        result = train(backbone, [clip], MotionDirector(TINY_LORA), SHORT, tmp_path)
    assert result.steps == 2


def test_what_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    backbone = tiny_animatediff()
    with pytest.raises(ClipError, match="No clips"):
        train(backbone, [], LeastSquares(), SHORT, tmp_path)
    with pytest.raises(ClipError, match=r"17 frames.*at most 16"):
        train(backbone, [latent_clip(17)], LeastSquares(), SHORT, tmp_path)
    backbone.frame_rule = FrameRule(least=8, most=16)
    with pytest.raises(ClipError, match=r"7 frames.*at least 8"):
        train(backbone, [latent_clip(7)], LeastSquares(), SHORT, tmp_path)
    with pytest.raises(SettingsError, match="fp16"):
        half = dataclasses.replace(SHORT, precision="fp16")
        train(backbone, [latent_clip(8)], LeastSquares(), half, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own answer to Ctrl-C, also where the tests run in a shell's background."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_waits_for_the_end_of_the_block() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt):
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("the rest of the block")
        done.append("not reached")
    assert done == ["the rest of the block"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
