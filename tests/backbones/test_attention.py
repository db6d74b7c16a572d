"""Attention by this package's processor, with and without LoRAs: what diffusers computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor, nn

from motion_core.adapters.lora.layer import LoraLinear
from motion_core.adapters.lora.training import trainable_lora
from motion_core.backbones.attention import attending

PATHS = ["attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0"]


def network(**options: object) -> Any:
    torch.manual_seed(0)
    net = nn.Module()
    net.attn = Attention(16, heads=2, dim_head=8, **options)  # type: ignore[arg-type]
    return net


def outputs(net: Any, x: Tensor, others: Tensor | None) -> tuple[Tensor, ...]:
    """What it gives, and the gradients of x and of all LoRAs."""
    y = net.attn(x, encoder_hidden_states=others)
    parts = [
        m for layer in net.modules() if isinstance(layer, LoraLinear) for m in layer.parts.values()
    ]
    matrices = [m for part in parts for m in part.parameters()]
    found = torch.autograd.grad((y * torch.arange(16.0)).sum(), [x, *matrices])
    return (y, *found)


@pytest.mark.parametrize("others", [None, torch.randn(3, 7, 12)], ids=["self", "cross"])
@pytest.mark.parametrize("paths", [PATHS, PATHS[:2]], ids=["all", "queries and keys"])
def test_it_is_what_diffusers_computes(others: Tensor | None, paths: list[str]) -> None:
    net = network(cross_attention_dim=None if others is None else 12)
    x = torch.randn(3, 5, 16, requires_grad=True)
    draw = torch.Generator().manual_seed(1)
    given = {"scope": "temporal", "family": "zeroscope", "rank": 4, "alpha": 8.0}
    with trainable_lora(net, "a", paths, dropout=0.0, rng=draw, **given) as lora:  # type: ignore[arg-type]
        with torch.no_grad():
            for part in lora.parts.values():
                part.up.normal_(generator=draw)
        with lora.active():
            ours = outputs(net, x, others)
            net.attn.processor = AttnProcessor2_0()
            theirs = outputs(net, x, others)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_its_own_processor_comes_back_also_after_another_lora() -> None:
    net = network()
    own = net.attn.processor
    with attending([net.attn]):
        outer = net.attn.processor
        assert outer is not own
        with attending([net.attn]):
            assert net.attn.processor is outer
        assert net.attn.processor is outer
    assert net.attn.processor is own


@pytest.mark.parametrize(
    "options", [{"residual_connection": True}, {"norm_num_groups": 4}, {"qk_norm": "layer_norm"}]
)
def test_attention_that_does_more_is_left_alone(options: dict[str, object]) -> None:
    net = network(**options)
    own = net.attn.processor
    with attending([net.attn]):
        assert net.attn.processor is own


def test_a_mask_is_diffusers_matter() -> None:
    net, x = network(), torch.randn(2, 3, 16)
    mask = torch.zeros(2, 1, 3)
    mask[:, :, 0] = -1e4
    expected = net.attn(x, attention_mask=mask)
    with attending([net.attn]):
        masked = net.attn(x, attention_mask=mask)
    assert torch.equal(masked, expected)
