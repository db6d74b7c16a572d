"""Full deltas as LoRAs: the nearest matrices of a rank, and how much of the change they are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from motion_core.adapters.weights.adapter import WeightsAdapter
from motion_core.adapters.weights.to_lora import weights_to_lora
from motion_core.backbones.base import Family
from motion_core.errors import AdapterError, SettingsError

MODULE = {
    "animatediff": "down_blocks.0.motion_modules.0",
    "zeroscope": "down_blocks.0.temp_attentions.0",
}
QUERY = "transformer_blocks.0.attn1.to_q"


def an_adapter(deltas: dict[str, Tensor], family: Family = "zeroscope") -> WeightsAdapter:
    return WeightsAdapter(scope="temporal", family=family, deltas=deltas)


def test_rank_one_keeps_the_larger_direction() -> None:
    """ΔW = [[3, 0], [0, 4], [0, 0]] has singular values 4 and 3: rank 1 is its second entry alone,
    16 of 25 of the energy. A bias of norm 5, which no LoRA holds, makes it 16 of 50.
    """
    layer = f"{MODULE['zeroscope']}.{QUERY}"
    delta = torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]])
    deltas = {f"{layer}.weight": delta, f"{layer}.bias": torch.tensor([3.0, 0.0, 4.0])}
    conversion = weights_to_lora(an_adapter(deltas), 1)
    pair = conversion.lora.pairs[layer]
    assert pair.down.shape == (1, 2) and pair.up.shape == (3, 1)
    expected = torch.tensor([[0.0, 0.0], [0.0, 4.0], [0.0, 0.0]])
    torch.testing.assert_close(pair.up @ pair.down, expected)
    assert conversion.energy_by_layer == {layer: pytest.approx(16 / 25)}
    assert conversion.energy_kept == pytest.approx(16 / 50)
    assert conversion.left_out == (f"{layer}.bias",)
    assert (conversion.lora.scope, conversion.lora.family) == ("temporal", "zeroscope")


def test_a_rank_beyond_the_width_is_exact_and_filled_up() -> None:
    """All LoRAs of a file have one rank: 4 for a 2x3 matrix, whose own is at most 2."""
    layer = f"{MODULE['zeroscope']}.{QUERY}"
    delta = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    conversion = weights_to_lora(an_adapter({f"{layer}.weight": delta}), 4)
    pair = conversion.lora.pairs[layer]
    assert pair.down.shape == (4, 3) and pair.up.shape == (2, 4)
    torch.testing.assert_close(pair.up @ pair.down, delta)
    assert conversion.energy_kept == pytest.approx(1.0)


@pytest.mark.parametrize("family", ["animatediff", "zeroscope"])
def test_what_a_lora_cannot_hold_is_reported(family: Family) -> None:
    """Convolutions, biases and norms nowhere; projections only in ZeroScope's format, since
    AnimateDiff's motion LoRA has names for attention and feed-forward layers alone.
    """
    module = MODULE[family]
    shapes = {
        f"{module}.{QUERY}.weight": (2, 2),
        f"{module}.transformer_blocks.0.ff.net.2.weight": (2, 4),
        f"{module}.proj_in.weight": (2, 2),
        f"{module}.norm.weight": (2,),
        f"{module}.conv.weight": (2, 2, 3, 1, 1),
    }
    deltas = {name: torch.ones(shape) for name, shape in shapes.items()}
    conversion = weights_to_lora(an_adapter(deltas, family), 1)
    held = 2 if family == "animatediff" else 3
    assert [f"{layer}.weight" for layer in conversion.lora.pairs] == list(shapes)[:held]
    assert list(conversion.left_out) == list(shapes)[held:]
    energies = {"animatediff": (4 + 8) / (4 + 8 + 4 + 2 + 12), "zeroscope": 16 / 30}
    assert conversion.energy_kept == pytest.approx(energies[family])


def test_an_untrained_adapter_loses_nothing() -> None:
    name = f"{MODULE['zeroscope']}.{QUERY}.weight"
    conversion = weights_to_lora(an_adapter({name: torch.zeros(2, 2)}), 1)
    assert conversion.energy_kept == 1.0
    assert list(conversion.energy_by_layer.values()) == [1.0]


def test_bad_requests() -> None:
    convolution = an_adapter({"temp_convs.0.conv1.2.weight": torch.ones(2, 2, 3, 1, 1)})
    with pytest.raises(AdapterError, match="None of the adapter's parameters"):
        weights_to_lora(convolution, 1)
    with pytest.raises(SettingsError, match="rank is 0"):
        weights_to_lora(convolution, 0)
