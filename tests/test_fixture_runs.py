"""Runs that version 0.1.0 left in the middle go on, and end where they would have ended there.

See tests/fixtures/v0.1.0/README.md for how the folders were made.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from motion_core.backbones.base import Backbone
from motion_core.bases import load_base
from motion_core.cli.main import main
from motion_core.diffusion.encoding import encoders_digest
from motion_core.events import CancelRun, Event, StepDone
from motion_core.methods.base import Method
from motion_core.methods.motion_director import MotionDirector, MotionDirectorSettings
from motion_core.methods.motrans.method import MoTrans, MoTransSettings
from motion_core.training.settings import TrainSettings
from motion_core.training.trainer import train
from tests.fixture_files import FIXTURES, made_on_such_a_machine, read_json, same_libraries
from tests.known import known_animatediff, known_clip, known_zeroscope


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of `known_clip` 0 and 1 that was stopped after step 3, and how."""

    base: Callable[[], Backbone]
    method: Callable[[], Method]
    settings: TrainSettings
    stopped: str


# Dropout and several draws of noise, so that both random generators matter.
RUNS: Mapping[str, Run] = {
    # Cancelled: the state of step 3 was saved. The rate follows a cosine, gradients are clipped.
    "motion_director": Run(
        base=known_animatediff,
        method=lambda: MotionDirector(MotionDirectorSettings(rank=2, dropout=0.3)),
        settings=TrainSettings(
            steps=6,
            save_every=2,
            learning_rate=1e-3,
            warmup_steps=1,
            lr_schedule="cosine",
            max_grad_norm=1.0,
            noise_draws=2,
            seed=1,
            checkpointing=False,
        ),
        stopped="cancelled",
    ),
    # Killed: it goes on from step 2, in the first of the two stages, and forgets step 3.
    "motrans": Run(
        base=known_zeroscope,
        method=lambda: MoTrans(MoTransSettings(rank=2, dropout=0.3, appearance_steps=4)),
        settings=TrainSettings(
            steps=7,
            save_every=2,
            learning_rate=1e-3,
            noise_draws=3,
            min_timestep=100,
            seed=2,
            checkpointing=False,
        ),
        stopped="running",
    ),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the runs were made: sums in another order differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(read_json("made_with.json")["threads"])
    yield
    torch.set_num_threads(before)


def copied(name: str, folder: Path, make_base: Callable[[], Backbone]) -> Path:
    """The run as a user has it. Under other versions of the libraries an encoder's configuration
    has other entries, and so another digest, which is put in: what is tested is the run.
    """
    run = folder / "runs" / name
    shutil.copytree(FIXTURES / "runs" / name, run)
    if not same_libraries():
        digest = encoders_digest(make_base())
        for file in run.glob("checkpoints/step-*/state.json"):
            state = json.loads(file.read_text(encoding="utf-8"))
            state["description"]["base"]["encoders"] = digest
            file.write_text(json.dumps(state), encoding="utf-8")
    return run


def trained(run: Run, folder: Path, stop_after: int | None = None) -> dict[str, Tensor]:
    """What the run has learned at its end, by the adapter's and the tensor's name. stop_after: the
    step after which it is cancelled; then nothing.
    """

    def sink(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == stop_after:
            raise CancelRun

    clips = [known_clip(0), known_clip(1)]
    try:
        result = train(run.base(), clips, run.method(), run.settings, folder, sink)
    except CancelRun:
        return {}
    return {
        f"{name}/{key}": tensor
        for name, adapter in result.adapters.items()
        for key, tensor in adapter.state_dict().items()
    }


def assert_the_same_run(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Bit for bit where the numbers can be; elsewhere within 1 % of a step at most: AdamW's first
    ones are about as long as the rate, 0.001 and more.
    """
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        if made_on_such_a_machine():
            assert torch.equal(tensor, expected[name]), name
        else:
            torch.testing.assert_close(tensor, expected[name], rtol=1e-3, atol=1e-5, msg=name)


def steps_logged(folder: Path) -> list[int]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["step"] for line in lines]


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_then_goes_on_and_ends_as_it_would_have(name: str, tmp_path: Path) -> None:
    run = RUNS[name]
    folder = copied(name, tmp_path, run.base)
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    assert state["state"] == run.stopped
    assert steps_logged(folder) == [1, 2, 3]
    found = trained(run, folder)
    assert_the_same_run(found, load_file(folder / "expected.safetensors"))
    assert steps_logged(folder) == list(range(1, run.settings.steps + 1))
    assert json.loads((folder / "state.json").read_text())["state"] == "finished"


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_now_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    """On any machine."""
    run = RUNS[name]
    undisturbed = trained(run, tmp_path / "undisturbed")
    assert trained(run, tmp_path / "stopped", stop_after=3) == {}
    resumed = trained(run, tmp_path / "stopped")
    assert resumed.keys() == undisturbed.keys()
    assert all(torch.equal(tensor, undisturbed[key]) for key, tensor in resumed.items())


def test_a_run_of_the_command_line_goes_on(tmp_path: Path) -> None:
    """Stopped by Ctrl-C after step 4 of 8; the file that the whole run made lies among the
    adapters. The clip is found from the folder of the run's settings.
    """
    name = "shape-world-animatediff"
    folder = copied("command_line", tmp_path, lambda: load_base(name))
    shutil.copytree(FIXTURES / "clip", tmp_path / "clip")
    assert steps_logged(folder) == [1, 2, 3, 4]
    assert main(["train", "--resume", "--output", str(folder)]) == 0
    expected = FIXTURES / "adapters" / name
    assert_the_same_run(
        load_file(folder / "adapter.safetensors"), load_file(expected / "adapter.safetensors")
    )
    assert steps_logged(folder) == list(range(1, 9))
    for beside in ("adapter.json", "adapter.png", "adapter.noise.safetensors", "sample.mp4"):
        assert (folder / beside).is_file(), beside
