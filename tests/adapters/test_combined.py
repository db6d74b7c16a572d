"""Adapters of every kind together, on both backbones: what they make is what their weights, added
by hand, make.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from motion_core.adapter_files.own import load_adapter, save_adapter
from motion_core.adapters.base import Adapter, Scope
from motion_core.adapters.embedding.adapter import BlockEmbedding, EmbeddingAdapter
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.adapters.lora.keys import LoraPair
from motion_core.adapters.weights.adapter import WeightsAdapter
from motion_core.backbones.base import Backbone, Family
from motion_core.diffusion.generate import apply_adapters

from ..adapter_files.test_own import an_info
from ..tiny import tiny_animatediff, tiny_zeroscope

BACKBONES = [tiny_animatediff, tiny_zeroscope]
FRAMES = 3


def linears(backbone: Backbone, scope: Scope) -> list[str]:
    return backbone.sites("temporal") if scope == "temporal" else backbone.sites("spatial")


def a_lora(backbone: Backbone, scope: Scope, seed: int) -> LoraAdapter:
    rng, pairs = torch.Generator().manual_seed(seed), {}
    for name in linears(backbone, scope):
        rows, columns = backbone.network.get_submodule(name).weight.shape
        down, up = torch.randn(2, columns, generator=rng), torch.randn(rows, 2, generator=rng)
        pairs[name] = LoraPair(0.3 * down, 0.3 * up)
    return LoraAdapter(scope=scope, family=backbone.family, pairs=pairs)


def full_weights(backbone: Backbone, seed: int) -> WeightsAdapter:
    rng, deltas = torch.Generator().manual_seed(seed), {}
    for name in linears(backbone, "temporal"):
        weight = backbone.network.get_submodule(name).weight
        deltas[f"{name}.weight"] = 0.2 * torch.randn(weight.shape, generator=rng)
    return WeightsAdapter(scope="temporal", family=backbone.family, deltas=deltas)


def an_embedding(backbone: Backbone, seed: int) -> EmbeddingAdapter:
    rng, blocks = torch.Generator().manual_seed(seed), {}
    for name in backbone.sites("temporal"):
        block, found, _ = name.partition(".attn1.to_q")
        if found:
            width = backbone.network.get_submodule(name).weight.shape[1]
            values = 0.3 * torch.randn(3, 1, 1, FRAMES, width, generator=rng)
            blocks[block] = BlockEmbedding(*values)
    return EmbeddingAdapter(family=backbone.family, blocks=blocks)


def merged(backbone: Backbone, changes: Sequence[tuple[Adapter, float]]) -> dict[str, Tensor]:
    """W0 + Σ strength · ΔW by hand, for LoRAs (ΔW = up @ down) and full weights."""
    weights = {name: tensor.clone() for name, tensor in backbone.network.state_dict().items()}
    for adapter, strength in changes:
        if isinstance(adapter, LoraAdapter):
            deltas: Mapping[str, Tensor] = {
                f"{name}.weight": pair.up @ pair.down for name, pair in adapter.pairs.items()
            }
        else:
            assert isinstance(adapter, WeightsAdapter)
            deltas = adapter.deltas
        for name, delta in deltas.items():
            weights[name] += strength * delta
    return weights


def predict(backbone: Backbone) -> Tensor:
    rng = torch.Generator().manual_seed(7)
    latents = torch.randn(1, 4, FRAMES, 8, 8, generator=rng)
    prompt = torch.randn(1, 16, 8, generator=rng)
    with torch.no_grad():
        return backbone.predict(latents, torch.tensor([500]), prompt)


def assert_same_weights(backbone: Backbone, expected: Mapping[str, Tensor]) -> None:
    weights = backbone.network.state_dict()
    assert weights.keys() == expected.keys()
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, expected[name], msg=name)


@pytest.mark.parametrize("make", BACKBONES)
def test_two_motions_by_weight(make: Callable[[], Backbone]) -> None:
    """W = W0 + 0.7 · A + 0.3 · B in every temporal layer, in whatever order; then W0 again."""
    backbone = make()
    both = [(a_lora(backbone, "temporal", 1), 0.7), (a_lora(backbone, "temporal", 2), 0.3)]
    base, expected = merged(backbone, []), merged(backbone, both)
    for adapters in (both, both[::-1]):
        with apply_adapters(backbone, adapters):
            assert_same_weights(backbone, expected)
    assert all(torch.equal(w, base[name]) for name, w in backbone.network.state_dict().items())


@pytest.mark.parametrize("make", BACKBONES)
def test_the_looks_of_one_with_the_motion_of_another(make: Callable[[], Backbone]) -> None:
    """Motion at 0.5 · 2 and looks at 0.8 · 0.5, each in its own layers, neither in the other's."""
    backbone = make()
    motion, looks = a_lora(backbone, "temporal", 1), a_lora(backbone, "spatial", 2)
    expected = merged(backbone, [(motion, 1.0), (looks, 0.4)])
    pairs = [(motion, 0.5), (looks, 0.8)]
    with apply_adapters(backbone, pairs, temporal_scale=2.0, spatial_scale=0.5):
        assert_same_weights(backbone, expected)


@pytest.mark.parametrize("make", BACKBONES)
def test_a_lora_and_full_weights_on_the_same_layers(make: Callable[[], Backbone]) -> None:
    """W = W0 + 0.6 · up @ down − 0.5 · Δ, in whatever order."""
    backbone = make()
    both = [(a_lora(backbone, "temporal", 1), 0.6), (full_weights(backbone, 2), -0.5)]
    base, expected = predict(backbone), merged(backbone, both)
    for adapters in (both, both[::-1]):
        with apply_adapters(backbone, adapters):
            assert_same_weights(backbone, expected)
    assert torch.equal(predict(backbone), base)


@pytest.mark.parametrize("make", BACKBONES)
def test_every_kind_together(make: Callable[[], Backbone]) -> None:
    """An embedding on a base whose weights were added by hand is the embedding beside the adapters
    of weights, in each of the 24 orders.
    """
    backbone, by_hand = make(), make()
    embedding = an_embedding(backbone, 4)
    weights: list[tuple[Adapter, float]] = [
        (a_lora(backbone, "temporal", 1), 0.7),
        (a_lora(backbone, "spatial", 2), 0.4),
        (full_weights(backbone, 3), 0.5),
    ]
    by_hand.network.load_state_dict(merged(backbone, weights))
    without = predict(by_hand)
    with embedding.applied(by_hand, 0.9):
        expected = predict(by_hand)
    assert not torch.allclose(expected, without, rtol=1e-2)
    base = predict(backbone)
    for adapters in itertools.permutations([*weights, (embedding, 0.9)]):
        with apply_adapters(backbone, adapters):
            torch.testing.assert_close(predict(backbone), expected, rtol=1e-3, atol=1e-4)
    assert torch.equal(predict(backbone), base)


@pytest.mark.parametrize("family", ["animatediff", "zeroscope"])
def test_every_kind_in_one_file(family: Family, tmp_path: Path) -> None:
    """Bit for bit, and under their own names; no name is mistaken for another adapter's."""
    backbone = {"animatediff": tiny_animatediff, "zeroscope": tiny_zeroscope}[family]()
    saved: dict[str, Adapter] = {
        "temporal": a_lora(backbone, "temporal", 1),
        "spatial": a_lora(backbone, "spatial", 2),
        "weights": full_weights(backbone, 3),
        "embedding": an_embedding(backbone, 4),
    }
    save_adapter(tmp_path / "a.safetensors", saved, an_info(family))
    _, loaded = load_adapter(tmp_path / "a.safetensors")
    assert loaded.keys() == saved.keys()
    for name, adapter in saved.items():
        mine, theirs = adapter.state_dict(), loaded[name].state_dict()
        assert type(loaded[name]) is type(adapter)
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(tensor, theirs[key]) for key, tensor in mine.items())
