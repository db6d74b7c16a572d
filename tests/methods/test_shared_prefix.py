"""Two passes that share their first layers: the same numbers, of which some are computed once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from motion_core.backbones.animatediff import AnimateDiff
from motion_core.backbones.zeroscope import ZeroScope
from motion_core.methods.shared_prefix import SharedPrefix
from tests.tiny import tiny_animatediff, tiny_zeroscope


class Network(nn.Module):
    """first, blocks.0, blocks.1 and last, which multiply by 2, 3, 5 and 7 and count."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Times(2)
        self.blocks = nn.ModuleList([Times(3), Times(5)])
        self.last = Times(7)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.blocks[1](self.blocks[0](self.first(x))))


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor, self.calls = nn.Parameter(torch.tensor(float(factor))), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.factor


def test_what_comes_before_the_first_changed_part_is_computed_once() -> None:
    network = Network()
    prefix = SharedPrefix(network, ["blocks.1.factor"])
    with torch.no_grad(), prefix.kept():
        assert network(torch.ones(1)).item() == 210
    network.blocks[1].factor.data.fill_(50.0)
    with prefix.taken():
        assert network(torch.ones(1)).item() == 2100
    parts = (network.first, *network.blocks, network.last)
    assert [part.calls for part in parts] == [1, 1, 2, 2]
    assert not any("forward" in vars(part) for part in parts)


def test_a_part_after_the_changed_one_is_computed_although_it_was_not_changed() -> None:
    network = Network()
    prefix = SharedPrefix(network, ["first.factor"])
    with torch.no_grad(), prefix.kept():
        network(torch.ones(1))
    with prefix.taken():
        network(torch.ones(1))
    assert [network.first.calls, network.last.calls] == [2, 2]


@pytest.mark.parametrize("make", [tiny_animatediff, tiny_zeroscope])
def test_a_video_networks_second_pass_is_the_same_bit_for_bit(
    make: Callable[[], AnimateDiff | ZeroScope],
) -> None:
    """With the deep temporal modules moved in between; the first convolution is asked once."""
    backbone = make()
    names = backbone.in_blocks(backbone.parameters("temporal"), "deep")
    draw = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 4, 3, 8, 8, generator=draw)
    embeds = backbone.text.encode(["a red ball"])
    asked: list[int] = []
    hook = backbone.network.conv_in.register_forward_hook(lambda *_: asked.append(1))

    def predict() -> Tensor:
        return backbone.predict(latents, torch.tensor([500]), embeds)

    prefix = SharedPrefix(backbone.network, names)
    with torch.no_grad(), prefix.kept():
        before = predict()
    for name in names:
        backbone.network.get_parameter(name).data.mul_(1.5)
    with prefix.taken():
        after = predict()
    hook.remove()
    assert torch.equal(after, predict()) and not torch.equal(after, before)
