"""Layers that are computed again, but for what was dear: the same gradients, less to compute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from motion_core.backbones import kept_outputs
from motion_core.backbones.animatediff import AnimateDiff
from motion_core.backbones.base import Keeps
from motion_core.backbones.kept_outputs import Outputs, kept
from motion_core.backbones.zeroscope import ZeroScope
from tests.tiny import tiny_animatediff, tiny_zeroscope

Maker = Callable[[], AnimateDiff | ZeroScope]
DEAR = ("convolution", "_scaled_dot_product_flash_attention_for_cpu")


class Operations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.times: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.times[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def gradients(backbone: AnimateDiff | ZeroScope, keeps: Keeps) -> tuple[list[Tensor], Counter[str]]:
    """Of all weights, and what was computed for them."""
    network = backbone.network.requires_grad_(True)
    draw = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 4, 3, 8, 8, generator=draw)
    embeds = backbone.text.encode(["a red ball"])
    with Operations() as operations, backbone.training_passes(keeps):
        pred = backbone.predict(latents, torch.tensor([500]), embeds)
        pred.square().mean().backward()
    found = [weight.grad for weight in network.parameters() if weight.grad is not None]
    network.zero_grad(set_to_none=True)
    return found, operations.times


@pytest.mark.parametrize("make", [tiny_animatediff, tiny_zeroscope])
def test_gradients_are_the_same_and_what_is_dear_is_computed_once(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit. Keeping everything that can be kept, no convolution and no attention is computed
    more often than without checkpointing.
    """
    monkeypatch.setattr(kept_outputs, "LEAST", 0)
    backbone = make()
    whole, plain = gradients(backbone, "all")
    for keeps in ("outputs", "inputs"):
        again, times = gradients(backbone, keeps)
        assert len(again) == len(whole) > 10
        for one, other in zip(again, whole, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
        more = [times[name] - plain[name] for name in DEAR]
        assert all(more) if keeps == "inputs" else more == [0, 0]
        assert times["native_layer_norm"] > plain["native_layer_norm"]
    parts = backbone.network.modules()
    assert not any("forward" in vars(part) for part in parts if isinstance(part, nn.Conv2d))


def test_little_is_computed_again_unless_it_is_dear() -> None:
    """A 3x3 convolution of 64 channels has 2·9·64 = 1152 operations a number, one of 1x1 has 128;
    attention to 300 places 4·300, to 16 it has 64.
    """
    wide, narrow = nn.Conv2d(64, 2, 3), nn.Conv2d(64, 2, 1)
    far, near = torch.randn(1, 1, 300, 8), torch.randn(1, 1, 16, 8)
    attend = nn.functional.scaled_dot_product_attention
    outputs = Outputs()
    first, again = outputs.contexts()
    x = torch.randn(1, 64, 5, 5)

    def compute() -> list[Tensor]:
        return [
            kept(wide, x),
            kept(narrow, x),
            kept(attend, far, far, far),
            kept(attend, near, near, near),
        ]

    with first:
        before = compute()
    for _ in range(2):  # as often as gradients are asked for
        with Operations() as operations, again:
            after = compute()
        assert [operations.times[name] for name in DEAR] == [1, 1]
        assert all(map(torch.equal, before, after))


def test_without_a_layer_that_keeps_it_is_computed() -> None:
    conv, x = nn.Conv2d(64, 2, 3), torch.randn(1, 64, 5, 5)
    with Operations() as operations:
        kept(conv, x)
        kept(conv, x)
    assert operations.times["convolution"] == 2


def test_an_inner_layer_keeps_for_itself() -> None:
    """Of two that lie inside each other each gets back its own."""
    conv = nn.Conv2d(64, 1, 3)
    inner, outer = torch.randn(2, 1, 64, 3, 3)
    one, other = Outputs(), Outputs()
    first, again = one.contexts()
    with first:
        within, _ = other.contexts()
        with within:
            kept(conv, inner)
        expected = kept(conv, outer)
    assert len(one.kept) == len(other.kept) == 1
    with again:
        assert torch.equal(kept(conv, outer), expected)
