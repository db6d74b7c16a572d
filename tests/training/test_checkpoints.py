"""Checkpoints: what comes back, what is kept, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from motion_core.errors import FormatError, TrainingError
from motion_core.methods.parts import ParameterGroup
from motion_core.training import checkpoints
from motion_core.training.checkpoints import (
    Position,
    base_digest,
    check_same_run,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)

from ..runs import free_group
from ..tiny import tiny_animatediff

DESCRIPTION = {"training": {"seed": 0, "learning_rate": 1e-3}, "clips": {"0": "abc"}}
Groups = dict[str, ParameterGroup]
Optimisers = dict[str, AdamW]


def groups_and_optimisers(fill: float) -> tuple[Groups, Optimisers]:
    groups = {
        name: free_group(nn.Parameter(torch.full((2, 3), fill)), nn.Parameter(torch.zeros(1)))
        for name in ("temporal", "spatial.0")
    }
    return groups, {name: AdamW(group.parameters, lr=0.1) for name, group in groups.items()}


def step_temporal(groups: Groups, optimisers: Optimisers) -> None:
    for parameter in groups["temporal"].parameters:
        parameter.grad = torch.ones_like(parameter)
    optimisers["temporal"].step()


def position(step: int) -> Position:
    return Position(
        step=step,
        generator=torch.Generator().manual_seed(step).get_state(),
        dropout=torch.Generator().manual_seed(step + 1).get_state(),
        dropout_cuda=None,
        clips_left=(2, 0),
    )


def save(folder: Path, step: int, groups: Groups, optimisers: Optimisers) -> Path:
    return save_checkpoint(
        folder,
        position(step),
        groups=groups,
        optimisers=optimisers,
        scaler={"scale": 1024.0},
        description=DESCRIPTION,
    )


def test_round_trip(tmp_path: Path) -> None:
    """After loading, one more step of the copy equals one more step of the original, moments and
    all.
    """
    groups, optimisers = groups_and_optimisers(1.0)
    step_temporal(groups, optimisers)
    path = save(tmp_path, 3, groups, optimisers)
    copy, copy_optimisers = groups_and_optimisers(0.0)
    loaded, scaler = load_checkpoint(path, groups=copy, optimisers=copy_optimisers)
    assert (loaded.step, loaded.clips_left, scaler) == (3, (2, 0), {"scale": 1024.0})
    assert torch.equal(loaded.generator, position(3).generator)
    assert torch.equal(loaded.dropout, position(3).dropout)
    assert loaded.dropout_cuda is None
    assert not copy_optimisers["spatial.0"].state
    step_temporal(groups, optimisers)
    step_temporal(copy, copy_optimisers)
    for name in groups:
        for one, other in zip(groups[name].parameters, copy[name].parameters, strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("fused", [False, True])
def test_the_step_counter_lies_where_the_optimiser_wants_it(tmp_path: Path, fused: bool) -> None:
    """Of parameters that are not on the CPU (on the meta device here): beside them if the optimiser
    is a fused one, which would refuse it elsewhere; otherwise on the CPU."""
    groups, optimisers = groups_and_optimisers(1.0)
    step_temporal(groups, optimisers)
    path = save(tmp_path, 3, groups, optimisers)
    with torch.device("meta"):
        copy, copy_optimisers = groups_and_optimisers(0.0)
    for optimiser in copy_optimisers.values():
        optimiser.defaults["fused"] = fused
    load_checkpoint(path, groups=copy, optimisers=copy_optimisers)
    states = list(copy_optimisers["temporal"].state.values())
    assert len(states) == 2
    assert {s["exp_avg"].device.type for s in states} == {"meta"}
    assert {s["step"].device.type for s in states} == {"meta" if fused else "cpu"}


def test_the_last_two_are_kept_by_number(tmp_path: Path) -> None:
    """9, 10, 100: by name "step-9" would sort last."""
    for step in (9, 10, 100):
        save(tmp_path, step, *groups_and_optimisers(1.0))
    kept = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert kept == {"step-10", "step-100"}
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "step-100"


def test_files_are_safetensors_and_json_only(tmp_path: Path) -> None:
    path = save(tmp_path, 1, *groups_and_optimisers(1.0))
    assert {file.suffix for file in path.iterdir()} == {".safetensors", ".json"}


def test_a_half_written_folder_is_no_checkpoint_and_is_cleaned_up(tmp_path: Path) -> None:
    leftover = tmp_path / "checkpoints" / ".step-5"
    leftover.mkdir(parents=True)
    (leftover / "parameters.safetensors").write_bytes(b"cut short")
    assert latest_checkpoint(tmp_path) is None
    save(tmp_path, 6, *groups_and_optimisers(1.0))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-6"]


def test_another_run_is_refused_by_what_differs(tmp_path: Path) -> None:
    path = save(tmp_path, 1, *groups_and_optimisers(1.0))
    check_same_run(path, DESCRIPTION)
    other = {"training": {"seed": 0, "learning_rate": 1e-2}, "clips": {"0": "abc", "1": "def"}}
    with pytest.raises(TrainingError) as caught:
        check_same_run(path, other)
    assert "training.learning_rate was 0.001, now 0.01" in str(caught.value)
    assert "clips.1 was None, now 'def'" in str(caught.value)
    assert "seed" not in str(caught.value)


def test_other_parameters_are_refused_before_any_is_changed(tmp_path: Path) -> None:
    path = save(tmp_path, 1, *groups_and_optimisers(1.0))
    groups, optimisers = groups_and_optimisers(0.0)
    del groups["spatial.0"]
    with pytest.raises(FormatError, match="other parameters"):
        load_checkpoint(path, groups=groups, optimisers=optimisers)
    assert groups["temporal"].parameters[0].sum() == 0


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, 1, *groups_and_optimisers(1.0))
    state = (path / "state.json").read_text(encoding="utf-8")
    newer = state.replace('"format_version": 2', '"format_version": 3')
    (path / "state.json").write_text(newer, encoding="utf-8")
    with pytest.raises(FormatError, match="checkpoint format 3"):
        check_same_run(path, DESCRIPTION)


@pytest.mark.parametrize(
    "name",
    [
        "state.json",
        "parameters.safetensors",
        "optimisers.safetensors",
        "random.safetensors",
    ],
)
def test_a_damaged_checkpoint_is_refused_before_any_is_changed(tmp_path: Path, name: str) -> None:
    path = save(tmp_path, 3, *groups_and_optimisers(1.0))
    content = (path / name).read_bytes()
    (path / name).write_bytes(content[: len(content) // 2])
    groups, optimisers = groups_and_optimisers(0.0)
    with pytest.raises(FormatError, match="step-3 is damaged"):
        load_checkpoint(path, groups=groups, optimisers=optimisers)
    assert groups["temporal"].parameters[0].sum() == 0


def test_base_digest_tells_bases_apart() -> None:
    assert base_digest(tiny_animatediff().network) == base_digest(tiny_animatediff().network)
    assert base_digest(tiny_animatediff().network) != base_digest(tiny_animatediff(seed=1).network)


def test_base_digest_of_weights_that_will_be_in_another_dtype() -> None:
    there = tiny_animatediff().network.to(torch.bfloat16)
    assert base_digest(tiny_animatediff().network, torch.bfloat16) == base_digest(there)
    assert base_digest(tiny_animatediff().network) != base_digest(there)


def mapped_files() -> str:
    """The files that this process has in its memory (Linux)."""
    return Path("/proc/self/maps").read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux tells it there")
def test_a_loaded_checkpoint_keeps_no_file_open(tmp_path: Path) -> None:
    """On Windows nobody could delete it later, when it is one too many."""
    groups, optimisers = groups_and_optimisers(1.0)
    step_temporal(groups, optimisers)
    path = save(tmp_path, 1, groups, optimisers)
    others, their_optimisers = groups_and_optimisers(0.0)
    standing, _ = load_checkpoint(path, groups=others, optimisers=their_optimisers)
    assert standing.generator.numel() > 0
    assert str(path) not in mapped_files()


def test_a_checkpoint_that_cannot_be_deleted_yet_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    groups, optimisers = groups_and_optimisers(1.0)
    for step in (1, 2):
        save(tmp_path, step, groups, optimisers)

    def in_use(folder: Path) -> None:
        raise PermissionError(13, "Access is denied", str(folder))

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "remove_folder", in_use)
        save(tmp_path, 3, groups, optimisers)
    assert "step-1 cannot be deleted yet" in caplog.text
    save(tmp_path, 4, groups, optimisers)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-3", "step-4"]
