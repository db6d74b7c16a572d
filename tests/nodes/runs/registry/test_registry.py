"""The registry with real training runs: what it tells, keeps, answers and hands to the trainer."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from motion_adapters.nodes.runs.registry import folder as folder_module
from motion_adapters.nodes.runs.registry import registry as registry_module
from motion_adapters.nodes.runs.registry.folder import RunOrigin, RunRequestError
from motion_adapters.nodes.runs.registry.live_run import LiveRun
from motion_adapters.nodes.runs.registry.messages import MESSAGE_BYTES, message
from motion_adapters.nodes.runs.registry.registry import RunRegistry

from motion_core.adapters.base import Adapter
from motion_core.events import CancelRun, Event, Request, SampleMade, Saved, Started, StepDone
from motion_core.training.settings import TrainSettings
from motion_core.training.trainer import TrainResult, train

from ....runs import LeastSquares, LeastSquaresSettings, constant_clip
from ....tiny import tiny_animatediff

TERMS = LeastSquaresSettings(groups=("a", "b"))
NODE = RunOrigin(node_id="12:3", prompt_id="p", workflow_id="w", title="Zigzag")
PROMPT = {"output": {"12:3": {"class_type": "T", "inputs": {}}}, "workflow": {"nodes": []}}


class Interrupted(Exception):
    """What a server's own Cancel raises."""


class Harness:
    """A registry in a folder, and trainings in it that can be stopped at a step."""

    def __init__(self, root: Path) -> None:
        self.messages: list[dict[str, Any]] = []
        self.registry = RunRegistry(root, self.messages.append, (Interrupted,))
        self.root = root

    def train(
        self,
        name: str = "run",
        *,
        steps: int = 6,
        at: int = 0,
        do: Callable[[LiveRun], None] | None = None,
        first: Callable[[LiveRun], None] | None = None,
        then: Callable[[LiveRun], None] | None = None,
        origin: RunOrigin = NODE,
        seen: list[Event] | None = None,
        saved_as: str = "zigzag.safetensors",
    ) -> TrainResult:
        """do: called with the run before its step `at` is told; first: before the training, then:
        between it and the saving.
        """
        folder = self.root / name
        with self.registry.watch(folder, origin, PROMPT) as run:
            if first is not None:
                first(run)

            def sink(event: Event) -> Request | None:
                if seen is not None:
                    seen.append(event)
                if do is not None and isinstance(event, StepDone) and event.step == at:
                    do(run)
                return run(event)

            def sample(adapters: Mapping[str, Adapter], step: int) -> SampleMade:
                path = folder / "samples" / f"step-{step}.mp4"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(b"video")
                return SampleMade(step=step, prompt="", frames_path=path)

            settings = TrainSettings(steps=steps, save_every=2, checkpointing=False)
            result = train(
                tiny_animatediff(),
                [constant_clip(1.0)],
                LeastSquares(TERMS),
                settings,
                folder,
                sink,
                make_sample=sample,
            )
            if then is not None:
                then(run)
            run.adapter_saved(saved_as)
        return result

    def killed(self, name: str = "run", **when: Any) -> Harness:
        """What a kill leaves: a copy of what is on the disk at that time. when: `do` or `then`
        without its function, or `at` and `do`.
        """
        copy = self.root.parent / f"{self.root.name}-killed"

        def keep(run: LiveRun) -> None:
            shutil.copytree(self.root, copy)

        moments = {moment: keep for moment in when.pop("moments")}
        self.train(name, **moments, **when)
        return Harness(copy)

    def asking(self, command: str) -> Callable[[LiveRun], None]:
        return lambda run: self.registry.ask(run.folder.name, command)

    def restarted(self) -> RunRegistry:
        """What a new server sees."""
        return RunRegistry(self.root, self.messages.append)


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path)


def steps_of(run: Mapping[str, Any], term: str = "loss a") -> list[int]:
    return [point[0] for point in run["curves"][term]]


def fail(run: LiveRun) -> None:
    raise RuntimeError("the disk is full")


def test_a_run_that_went_through(harness: Harness) -> None:
    result = harness.train()
    run = harness.registry.run("run")
    assert (run["state"], run["step"], run["total"]) == ("finished", 6, 6)
    assert steps_of(run) == list(range(1, 7))
    assert [value for _, value in run["curves"]["loss a"]] == pytest.approx(
        [value for _, value in result.losses["loss a"]], rel=1e-5
    )
    assert run["checkpoints"] == [2, 4, 6]
    assert run["saved_as"] == ["zigzag.safetensors"]
    assert (run["node_id"], run["workflow_id"], run["title"]) == ("12:3", "w", "Zigzag")
    assert run["settings"]["training"]["seed"] == 0
    assert not run["can_resume"]


def test_a_restarted_server_shows_the_same(harness: Harness) -> None:
    harness.train()
    assert harness.restarted().run("run") == harness.registry.run("run")


def test_since_a_step(harness: Harness) -> None:
    harness.train()
    assert steps_of(harness.registry.run("run", since=4)) == [5, 6]
    assert steps_of(harness.registry.run("run", since=6)) == []


def test_while_it_goes_on(harness: Harness) -> None:
    """At the third step's event two steps are known, and the disk is not asked for them."""
    shown: list[dict[str, Any]] = []
    harness.train(at=3, do=lambda run: shown.append(harness.registry.run("run", since=1)))
    assert shown[0]["state"] == "running"
    assert (shown[0]["step"], shown[0]["total"]) == (2, 6)
    assert steps_of(shown[0]) == [2]
    assert set(shown[0]["losses"]) == {"loss a", "loss b"}


def test_a_run_that_ended_left_its_thin_history(harness: Harness) -> None:
    harness.train()
    kept = json.loads((harness.root / "run" / "history.json").read_text())
    assert kept["history"]["curves"] == harness.restarted().run("run")["curves"]


def test_what_takes_long_is_told(harness: Harness) -> None:
    """Encoding until the start, then the first step, then nothing more than the step number."""
    told: list[tuple[str, str]] = []

    def note(run: LiveRun) -> None:
        told.append((run.state, run.summary()["doing"]))

    with harness.registry.watch(harness.root / "run", NODE) as run:
        run.begins("encoding")
        note(run)
        run(Started(step=0, total=2, resumed=False, settings={}))
        note(run)
        run(step_done(1))
        note(run)
        run.begins("sampling")
        note(run)
        run(SampleMade(step=1, prompt="", frames_path=Path("step-1.mp4")))
        note(run)
        run.begins("inverting")
    assert told == [
        ("preparing", "encoding"),
        ("running", "first"),
        ("running", ""),
        ("running", "sampling"),
        ("running", ""),
    ]
    assert harness.registry.run("run")["doing"] == ""


def test_stop_keeps_what_is_learned(harness: Harness) -> None:
    result = harness.train(at=3, do=harness.asking("stop"))
    assert result.steps == 3
    run = harness.restarted().run("run")
    assert (run["state"], run["step"], run["total"]) == ("finished", 3, 6)
    assert run["saved_as"] == ["zigzag.safetensors"]


def test_a_stopped_run_that_was_kept_can_go_on(harness: Harness) -> None:
    """What it saved before stays in the list, before what it saves then."""
    harness.train(at=3, do=harness.asking("stop"), saved_as="kept.safetensors")
    assert harness.restarted().run("run")["can_resume"]
    harness.train(saved_as="whole.safetensors")
    run = harness.registry.run("run")
    assert (run["state"], run["step"], run["can_resume"]) == ("finished", 6, False)
    assert run["saved_as"] == ["kept.safetensors", "whole.safetensors"]


def test_stop_before_the_first_step_is_a_cancel(harness: Harness) -> None:
    """There is nothing to keep yet; of a run that goes on there is."""
    with pytest.raises(CancelRun):
        harness.train(first=harness.asking("stop"))
    run = harness.restarted().run("run")
    assert (run["state"], run["step"], run["can_resume"]) == ("cancelled", 0, True)
    with pytest.raises(CancelRun):
        harness.train(at=3, do=harness.asking("pause"))
    assert harness.train(first=harness.asking("stop")).steps == 3
    assert harness.registry.run("run")["state"] == "finished"


def test_what_is_asked_to_end_is_not_asked_again(harness: Harness) -> None:
    statuses: list[int] = []

    def ask_twice(run: LiveRun) -> None:
        harness.asking("pause")(run)
        for command in ("pause", "stop"):
            with pytest.raises(RunRequestError, match="already been asked to pause") as error:
                harness.registry.ask("run", command)
            statuses.append(error.value.status)

    with pytest.raises(CancelRun):
        harness.train(at=3, do=ask_twice)
    assert statuses == [409, 409]
    assert harness.registry.run("run")["state"] == "paused"


def test_save_and_sample_once(harness: Harness) -> None:
    seen: list[Event] = []

    def ask_both(run: LiveRun) -> None:
        harness.asking("save")(run)
        harness.asking("sample")(run)

    harness.train(at=3, do=ask_both, seen=seen)
    assert [event.step for event in seen if isinstance(event, Saved)] == [2, 3, 4, 6]
    assert [event.step for event in seen if isinstance(event, SampleMade)] == [3]
    run = harness.registry.run("run")
    assert run["samples"] == [{"step": 3, "prompt": 1, "file": "step-3.mp4"}]
    assert run["checkpoints"] == [2, 3, 4, 6]
    assert harness.registry.sample("run", "step-3.mp4").read_bytes() == b"video"


def test_pause_saves_and_can_go_on(harness: Harness) -> None:
    with pytest.raises(CancelRun):
        harness.train(at=3, do=harness.asking("pause"))
    paused = harness.registry.run("run")
    assert (paused["state"], paused["step"], paused["can_resume"]) == ("paused", 3, True)
    assert harness.restarted().run("run")["state"] == "paused"
    assert harness.registry.prompt("run") == PROMPT
    harness.train()
    run = harness.registry.run("run")
    assert (run["state"], run["part"], run["resumes"]) == ("finished", 2, [3])
    assert steps_of(run) == list(range(1, 7))
    assert run["checkpoints"] == [2, 3, 4, 6]


def test_a_part_tells_where_its_training_began(harness: Harness) -> None:
    """From there its pace goes: the third step on, after all that the first part took."""
    with pytest.raises(CancelRun):
        harness.train(at=3, do=harness.asking("pause"))
    earlier = harness.registry.run("run")["elapsed"]
    shown: list[dict[str, Any]] = []
    harness.train(at=5, do=lambda run: shown.append(harness.registry.run("run")))
    began = shown[0]["trained_from"]
    assert began["step"] == 3
    assert earlier <= began["elapsed"] <= shown[0]["elapsed"]


def test_a_run_whose_folder_is_deleted_under_it_loses_nothing(harness: Harness) -> None:
    """Neither the pages, which go on to see its curve, nor the training, which goes on to its end
    and writes what comes after.
    """

    def delete(run: LiveRun) -> None:
        shutil.rmtree(run.folder)
        assert [entry["id"] for entry in harness.registry.runs()] == ["run"]
        shown = harness.registry.run("run")
        assert (shown["state"], shown["step"]) == ("running", 2)
        assert steps_of(shown) == [1, 2]

    result = harness.train(at=3, do=delete)
    assert result.steps == 6
    assert harness.registry.run("run")["state"] == "finished"


def test_cancel_of_the_server(harness: Harness) -> None:
    def interrupt(run: LiveRun) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        harness.train(at=3, do=interrupt)
    assert harness.registry.run("run")["state"] == "cancelled"


def test_cancel_before_the_first_step(harness: Harness) -> None:
    with pytest.raises(Interrupted), harness.registry.watch(harness.root / "run", NODE):
        raise Interrupted
    run = harness.restarted().run("run")
    assert (run["state"], run["step"], run["can_resume"]) == ("cancelled", 0, False)


def test_a_failure_says_why(harness: Harness) -> None:
    with pytest.raises(RuntimeError):
        harness.train(at=3, do=fail)
    run = harness.restarted().run("run")
    assert (run["state"], run["message"]) == ("failed", "the disk is full")
    assert run["can_resume"]


def test_a_failure_before_training_says_why(harness: Harness) -> None:
    with pytest.raises(RuntimeError), harness.registry.watch(harness.root / "run", NODE):
        raise RuntimeError("no clip")
    run = harness.restarted().run("run")
    assert (run["state"], run["message"]) == ("failed", "no clip")


def test_saving_the_adapter_can_fail_too(harness: Harness) -> None:
    with pytest.raises(RuntimeError), harness.registry.watch(harness.root / "run", NODE) as run:
        train(
            tiny_animatediff(),
            [constant_clip(1.0)],
            LeastSquares(TERMS),
            TrainSettings(steps=1, checkpointing=False),
            run.folder,
            run,
        )
        assert run.state == "saving"
        raise RuntimeError("no room for the adapter")
    shown = harness.restarted().run("run")
    assert (shown["state"], shown["message"]) == ("failed", "no room for the adapter")


def test_a_killed_run_is_interrupted_and_can_go_on(harness: Harness) -> None:
    """Here at the fifth step, with step 4 saved."""
    again = harness.killed(at=5, moments=["do"])
    run = again.registry.run("run")
    assert (run["state"], run["step"], run["can_resume"]) == ("interrupted", 4, True)
    assert steps_of(run) == list(range(1, 6))
    again.train()
    assert again.registry.run("run")["resumes"] == [4]
    assert steps_of(again.registry.run("run")) == list(range(1, 7))


def test_a_run_that_was_killed_while_it_was_saved_can_go_on(harness: Harness) -> None:
    """The trainer's own record says "finished" by then, and there is no adapter."""
    again = harness.killed(moments=["then"])
    assert json.loads((again.root / "run" / "state.json").read_text())["state"] == "finished"
    run = again.registry.run("run")
    assert (run["state"], run["step"], run["can_resume"]) == ("interrupted", 6, True)
    assert again.train().steps == 6
    assert again.registry.run("run")["state"] == "finished"


def test_an_earlier_part_is_shown_while_the_next_one_prepares(harness: Harness) -> None:
    with pytest.raises(CancelRun):
        harness.train(at=4, do=ask_all(harness, "sample", "pause"))
    shown: list[dict[str, Any]] = []
    harness.train(first=lambda run: shown.append(harness.registry.run("run")))
    assert (shown[0]["state"], shown[0]["step"]) == ("preparing", 4)
    assert steps_of(shown[0]) == [1, 2, 3, 4]
    assert shown[0]["checkpoints"] == [2, 4]
    before = harness.registry.run("run")
    with harness.registry.watch(harness.root / "run", NODE) as run:
        reused = harness.registry.run("run")
        assert json.loads((run.folder / "run.json").read_text())["saved_as"] == run.saved_as
    for name in ("curves", "samples", "checkpoints", "resumes", "saved_as", "memory"):
        assert reused[name] == before[name], name


def test_samples_of_steps_that_are_done_again_are_gone_for_good(harness: Harness) -> None:
    """Killed at step 5, where a sample was made, with step 4 saved: the samples of step 3 and of
    what is made later are there, in this server and the next.
    """

    def sample_each(run: LiveRun) -> None:
        for step in (3, 5):
            path = run.folder / "samples" / f"step-{step}.mp4"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"video")

    harness.train(at=1, do=sample_each)
    again = harness.killed("other", at=5, moments=["do"])
    shutil.copytree(harness.root / "run" / "samples", again.root / "other" / "samples")
    assert [s["step"] for s in again.registry.run("other")["samples"]] == [3, 5]
    while_it_goes_on: list[dict[str, Any]] = []
    again.train("other", at=6, do=lambda run: while_it_goes_on.append(again.registry.run("other")))
    for shown in (*while_it_goes_on, again.registry.run("other"), again.restarted().run("other")):
        assert [s["step"] for s in shown["samples"]] == [3]


def test_a_run_is_over_even_if_its_history_cannot_be_kept(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(folder: Path) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(registry_module, "thin_history", fails)
    with pytest.raises(OSError, match="the disk is gone"):
        harness.train()
    harness.registry.delete("run")  # which is refused while a run goes on


def test_the_size_of_a_run_that_is_over_is_counted_once(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until something is put into its folders."""
    harness.train()
    counted: list[Path] = []
    measure = folder_module.disk_size

    def disk_size(folder: Path) -> int:
        counted.append(folder)
        return measure(folder)

    monkeypatch.setattr(folder_module, "disk_size", disk_size)
    first, second = (harness.registry.runs()[0]["size"] for _ in range(2))
    assert first == second == measure(harness.root / "run") and len(counted) == 1
    (harness.root / "run" / "samples").mkdir()
    (harness.root / "run" / "samples" / "step-1.mp4").write_bytes(b"x" * 1000)
    assert harness.registry.runs()[0]["size"] == first + 1000


def test_another_node_that_reuses_a_run_leaves_it_with_the_first(harness: Harness) -> None:
    harness.train()
    other = RunOrigin(node_id="7", prompt_id="q", workflow_id="w")
    with harness.registry.watch(harness.root / "run", other) as run:
        run.adapter_saved("zigzag.safetensors")
    shown = harness.registry.run("run")
    assert shown["nodes"] == [["12:3", "w"], ["7", "w"]]
    assert (shown["state"], shown["step"]) == ("finished", 6)
    assert steps_of(shown) == list(range(1, 7))


def test_the_list_has_the_last_used_first_with_its_size(harness: Harness) -> None:
    harness.train("one")
    harness.train("two")
    runs = harness.registry.runs()
    assert [run["id"] for run in runs] == ["two", "one"]
    assert all(run["size"] > 100 for run in runs)
    assert RunRegistry(harness.root / "none", harness.messages.append).runs() == []


def test_one_damaged_run_does_not_hide_the_others(harness: Harness) -> None:
    harness.train("good")
    bad = harness.root / "bad"
    bad.mkdir()
    (bad / "state.json").write_text("{")
    (bad / "metrics.jsonl").write_text("nonsense\n")
    assert {run["id"] for run in harness.registry.runs()} == {"good", "bad"}
    assert harness.registry.run("bad")["curves"] == {}


@pytest.mark.parametrize(
    ("run_id", "command", "status"),
    [
        ("run", "explode", 400),
        ("../run", "stop", 400),
        ("other", "stop", 404),
        ("run", "stop", 409),
    ],
)
def test_requests_that_cannot_be_met(
    harness: Harness, run_id: str, command: str, status: int
) -> None:
    harness.train()
    with pytest.raises(RunRequestError) as error:
        harness.registry.ask(run_id, command)
    assert error.value.status == status


def test_a_run_that_goes_on_is_not_deleted(harness: Harness) -> None:
    errors: list[RunRequestError] = []

    def try_to(run: LiveRun) -> None:
        try:
            harness.registry.delete("run")
        except RunRequestError as error:
            errors.append(error)

    harness.train(at=2, do=try_to)
    assert [error.status for error in errors] == [409]
    harness.registry.delete("run")
    assert harness.registry.runs() == []
    assert harness.messages[-1] == {"id": "run", "state": "deleted"}
    with pytest.raises(RunRequestError):
        harness.registry.run("run")


def test_messages_are_small_few_and_the_last_one_tells_the_end(harness: Harness) -> None:
    done = threading.Event()
    told: list[dict[str, Any]] = []

    def announce(shown: dict[str, Any]) -> None:
        told.append(shown)
        if shown["state"] == "finished" and shown["saved_as"]:
            done.set()

    harness.registry.announce = announce
    harness.train(steps=200)
    assert done.wait(timeout=30)
    assert all(sent_bytes(shown) <= MESSAGE_BYTES for shown in told)
    assert told[-1]["step"] == 200
    seconds = harness.registry.run("run")["elapsed"]
    assert len(told) <= 4 * seconds + 2


def test_a_message_has_the_steps_since_the_last_one_if_they_fit(tmp_path: Path) -> None:
    run = LiveRun(tmp_path / "run", NODE)
    for step in range(1, 501):
        run(step_done(step))
    assert message(run, 498)["points"] == {"loss": [[499, 0.5], [500, 0.5]]}
    crowded = message(run, 0)
    assert "points" not in crowded
    assert crowded["step"] == 500


@pytest.mark.parametrize("ids", ["p" * 36, "p" * 5000, "转" * 5000])
def test_nothing_makes_a_message_long(tmp_path: Path, ids: str) -> None:
    origin = RunOrigin(node_id="1:2:3:4", prompt_id=ids, workflow_id=ids, title="t" * 500)
    run = LiveRun(tmp_path / "run", origin)
    for number in range(30):
        run.adapter_saved(f"a long name of an adapter-{number}.safetensors")
    run.over("failed", "reason " * 400)
    shown = message(run, 0)
    assert sent_bytes(shown) <= MESSAGE_BYTES
    assert shown["state"] == "failed"


def test_a_skipped_step_is_counted(tmp_path: Path) -> None:
    run = LiveRun(tmp_path / "run", NODE)
    run(step_done(1, norm=float("inf")))
    run(step_done(2))
    assert run.summary()["skipped"] == 1
    assert json.dumps(run.summary(), allow_nan=False)


def test_requests_from_another_thread_reach_the_trainer(harness: Harness) -> None:
    """The server's thread asks while the trainer waits in its sink."""

    def from_a_thread(run: LiveRun) -> None:
        thread = threading.Thread(target=harness.registry.ask, args=("run", "stop"))
        thread.start()
        thread.join()

    assert harness.train(at=2, do=from_a_thread).steps == 2


def test_asked_is_shown_until_it_is_done(harness: Harness) -> None:
    asked: list[list[str]] = []

    def ask(run: LiveRun) -> None:
        harness.registry.ask("run", "save")
        asked.append(harness.registry.run("run")["asked"])

    with suppress(CancelRun):
        harness.train(at=2, do=ask)
    assert asked == [["save"]]
    assert harness.registry.run("run")["asked"] == []


def ask_all(harness: Harness, *commands: str) -> Callable[[LiveRun], None]:
    def ask(run: LiveRun) -> None:
        for command in commands:
            harness.asking(command)(run)

    return ask


def sent_bytes(shown: Mapping[str, Any]) -> int:
    """As ComfyUI sends it."""
    return len(json.dumps({"type": "motion_adapters.run", "data": shown}))


def step_done(step: int, norm: float = 1.0) -> StepDone:
    return StepDone(
        step=step,
        total=1000,
        losses={"loss": 0.5},
        learning_rate=1e-4,
        grad_norm=norm,
        seconds=0.1,
        memory_bytes=2**30,
    )
