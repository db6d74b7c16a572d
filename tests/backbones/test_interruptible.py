"""A wish to stop is heard in the middle of a step, forward and backward, and costs nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from motion_core.backbones import interruptible as listening
from motion_core.backbones.base import Backbone
from motion_core.backbones.interruptible import interruptible
from motion_core.events import CancelRun, Event, StepDone
from motion_core.training.trainer import TrainResult, train

from ..runs import RESUME_SETTINGS, latent_clip, resume_method
from ..tiny import tiny_animatediff, tiny_zeroscope

CLIPS = [latent_clip(seed=0), latent_clip(seed=1)]


def learned(result: TrainResult) -> dict[str, Tensor]:
    return {
        f"{name} {key}": tensor
        for name, adapter in result.adapters.items()
        for key, tensor in adapter.state_dict().items()
    }


def assert_same(one: TrainResult, other: TrainResult) -> None:
    """Losses and weights bit for bit."""
    assert one.losses == other.losses
    ours, theirs = learned(one), learned(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items())


class Listener:
    """Notes after which step it was asked how often; raises the given time that it is asked after
    `step` steps.
    """

    def __init__(self, step: int = -1, time: int = -1) -> None:
        self.asked: dict[int, int] = {}
        self.step, self.time, self.done = step, time, 0

    def __call__(self) -> None:
        self.asked[self.done] = self.asked.get(self.done, 0) + 1
        if (self.done, self.asked[self.done]) == (self.step, self.time):
            raise CancelRun

    def sink(self, event: Event) -> None:
        if isinstance(event, StepDone):
            self.done = event.step


@contextmanager
def left_alone(backbone: Backbone) -> Iterator[None]:
    """The network has the same weights afterwards, and none of the hooks."""
    before = {name: tensor.clone() for name, tensor in backbone.network.state_dict().items()}
    yield
    after = backbone.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    for part in backbone.network.modules():
        assert not part._forward_hooks and not part._forward_pre_hooks


@pytest.mark.parametrize("base", [tiny_animatediff, tiny_zeroscope])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_step_that_is_left_in_its_middle_is_done_again_bit_for_bit(
    base: type[Backbone], checkpointing: bool, tmp_path: Path
) -> None:
    """At its beginning, in the forward, and where nothing but the last gradients are missing."""
    settings = replace(RESUME_SETTINGS, checkpointing=checkpointing)
    whole = train(base(), CLIPS, resume_method(), settings, tmp_path / "whole")
    backbone, heard = base(), Listener()
    with left_alone(backbone), interruptible([backbone.network], heard):
        again = train(backbone, CLIPS, resume_method(), settings, tmp_path / "heard", heard.sink)
    assert_same(again, whole)
    a_step = heard.asked[2]
    layers = sum(next(part.children(), None) is None for part in backbone.network.modules())
    assert a_step > 1.2 * layers  # the backward too

    for time in (1, a_step // 3, a_step):
        folder, backbone, cancel = tmp_path / f"at-{time}", base(), Listener(2, time)
        with left_alone(backbone), pytest.raises(CancelRun):
            with interruptible([backbone.network], cancel):
                train(backbone, CLIPS, resume_method(), settings, folder, cancel.sink)
        assert cancel.done == 2
        rest = train(backbone, CLIPS, resume_method(), settings, folder)
        assert_same(rest, whole)


def test_a_wish_is_heard_in_the_backward_pass() -> None:
    """Three layers: asked thrice on the way there and thrice on the way back, last layer first."""
    network = nn.Sequential(*(nn.Linear(2, 2) for _ in range(3)))
    count = itertools.count(1)
    asked: list[int] = []
    with interruptible([network, network[0]], lambda: asked.append(next(count))):
        loss = network(torch.ones(1, 2)).sum()
        assert asked == [1, 2, 3]
        loss.backward()
        assert asked == [1, 2, 3, 4, 5, 6]
    network(torch.ones(1, 2)).sum().backward()
    assert len(asked) == 6


class Attending(nn.Module):
    """Six of a batch, 100 places, two heads of 8."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)

    def forward(self, hidden: Tensor) -> Tensor:
        query = self.layer(hidden).reshape(6, 100, 2, 8).transpose(1, 2)
        return scaled_dot_product_attention(query, query * 1.1, query.sin(), dropout_p=0.0)


def test_attention_piece_by_piece_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of six at once, each of 2 · 100 · 100 pairs, counted 8 + 32 times: asked before each of
    three pieces and their gradients, and for the one layer.
    """
    torch.manual_seed(0)
    network, hidden = Attending(), torch.randn(6, 100, 16)

    def passed() -> tuple[Tensor, Tensor | None]:
        network.zero_grad()
        output = network(hidden)
        output.square().sum().backward()
        return output.detach(), network.layer.weight.grad

    output, gradient = passed()
    asked: list[int] = []
    monkeypatch.setattr(listening, "ATTENTION_AT_ONCE", 2 * 2 * 100 * 100 * 40)
    with interruptible([network], lambda: asked.append(0)):
        pieces, its_gradient = passed()
    assert gradient is not None and its_gradient is not None
    assert torch.equal(output, pieces) and torch.equal(gradient, its_gradient)
    assert len(asked) == 2 * (3 + 1)
