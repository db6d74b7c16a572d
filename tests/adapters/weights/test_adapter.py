"""Full weights: trained in the base's place, applied at a strength, and taken off bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from motion_core.adapters.lora.training import LoraPlan
from motion_core.adapters.weights.adapter import WeightsAdapter
from motion_core.adapters.weights.training import TrainableWeights, trainable_weights
from motion_core.backbones.base import Backbone
from motion_core.backbones.depth import temporal_parameter_names
from motion_core.errors import AdapterError, FormatError
from tests.tiny import tiny_animatediff, tiny_zeroscope


def small_model(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """y = 2·(1·a + 2·b + 3), a linear layer and a convolution of one weight each way, no bias."""
    linear, conv = nn.Linear(2, 1), nn.Conv1d(1, 1, 1, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, 2.0]]))
        linear.bias.fill_(3.0)
        conv.weight.fill_(2.0)
    return nn.Sequential(linear, conv).requires_grad_(False).to(dtype)


def output(model: nn.Module, dtype: torch.dtype = torch.float32) -> float:
    """At a = b = 1."""
    return float(model(torch.ones(1, 2, dtype=dtype)))


def trained_copies(model: nn.Module, names: list[str]) -> TrainableWeights:
    return trainable_weights(model, names, scope="temporal", family="zeroscope")


def test_copies_are_trained_in_place_of_the_weights() -> None:
    """At a = b = 1 the base gives 2·(1 + 2 + 3) = 12. With the bias at 4 and the convolution at 3:
    3·(1 + 2 + 4) = 21. dy/dbias = 3, dy/dconv = 7. ΔW is 1 and 1, whatever W0 is.
    """
    model = small_model()
    weights = trained_copies(model, ["0.bias", "1.weight"])
    bias, conv = weights.parameters
    with torch.no_grad():
        bias.fill_(4.0)
        conv.fill_(3.0)
    assert output(model) == 12.0
    with weights.active():
        y = model(torch.ones(1, 2))
        assert y.item() == 21.0
        y.sum().backward()
    assert output(model) == 12.0
    assert (bias.grad, conv.grad) == (torch.tensor([3.0]), torch.tensor([[[7.0]]]))
    deltas = weights.export().deltas
    assert {name: delta.tolist() for name, delta in deltas.items()} == {
        "0.bias": [1.0],
        "1.weight": [[[1.0]]],
    }


def test_the_model_is_itself_again_also_after_an_error() -> None:
    model = small_model()
    before = dict(model.named_parameters())
    weights = trained_copies(model, ["0.weight", "1.weight"])
    with pytest.raises(RuntimeError, match="in the pass"), weights.active():
        assert model[0].weight is weights.parameters[0]
        raise RuntimeError("in the pass")
    after = dict(model.named_parameters())
    assert list(after) == list(before)
    assert all(after[name] is parameter for name, parameter in before.items())


def test_a_base_in_half_precision_has_float32_copies() -> None:
    """bf16 keeps 8 bits, so that 2 + 2⁻¹⁰ is 2 in the forward; the copy, its gradient and ΔW are
    float32 and keep it. dy/dconv = 6.
    """
    model = small_model(torch.bfloat16)
    weights = trained_copies(model, ["1.weight"])
    (conv,) = weights.parameters
    with torch.no_grad():
        conv.add_(2.0**-10)
    with weights.active():
        y = model(torch.ones(1, 2, dtype=torch.bfloat16))
        assert (y.dtype, y.item()) == (torch.bfloat16, 12.0)
        y.sum().backward(inputs=[conv])
    assert conv.grad is not None
    assert (conv.grad.dtype, conv.grad.item()) == (torch.float32, 6.0)
    assert weights.export().deltas["1.weight"].item() == 2.0**-10
    assert model[1].weight.dtype == torch.bfloat16 and output(model, torch.bfloat16) == 12.0


@pytest.mark.parametrize("names", [["0.weight", "2.weight"], ["0.scale"], ["0"], []])
def test_unknown_parameters_are_refused(names: list[str]) -> None:
    with pytest.raises(AdapterError, match="parameters to adapt are not in this base"):
        trained_copies(small_model(), names)


def random_adapter(backbone: Backbone) -> WeightsAdapter:
    """Changes all temporal parameters: weights, biases, norms and, in ZeroScope, convolutions."""
    rng = torch.Generator().manual_seed(0)
    deltas = {
        name: torch.randn(backbone.network.get_parameter(name).shape, generator=rng) * 0.1
        for name in temporal_parameter_names(backbone.network)
    }
    return WeightsAdapter(scope="temporal", family=backbone.family, deltas=deltas)


def predict(backbone: Backbone) -> Tensor:
    rng = torch.Generator().manual_seed(7)
    latents = torch.randn(1, 4, 3, 4, 4, generator=rng)
    prompt = torch.randn(1, 16, 8, generator=rng)
    with torch.no_grad():
        return backbone.predict(latents, torch.tensor([500]), prompt)


@pytest.mark.parametrize("make", [tiny_animatediff, tiny_zeroscope])
def test_applied_at_a_strength_and_taken_off(make: Callable[[], Backbone]) -> None:
    """W = W0 + 0.5·ΔW in every parameter named, and in no other; then the very same tensors."""
    backbone = make()
    adapter, unet = random_adapter(backbone), backbone.network
    before, base = dict(unet.named_parameters()), predict(backbone)
    with adapter.applied(backbone, 0.5):
        for name, parameter in unet.named_parameters():
            delta = adapter.deltas.get(name)
            expected = before[name] if delta is None else before[name] + 0.5 * delta
            assert torch.equal(parameter, expected), name
        assert not torch.equal(predict(backbone), base)
    after = dict(unet.named_parameters())
    assert list(after) == list(before)
    assert all(after[name] is parameter for name, parameter in before.items())
    assert torch.equal(predict(backbone), base)


def test_applied_below_an_injected_lora() -> None:
    """The LoRA has B = 0, so what is left is the adapter's effect."""
    backbone = tiny_animatediff()
    adapter, names = random_adapter(backbone), backbone.sites("temporal")
    with adapter.applied(backbone, 1.0):
        expected = predict(backbone)
    plan = LoraPlan(scope="temporal", linears=names, rank=1, alpha=1.0)
    with plan.made("x", backbone, torch.Generator()) as lora, lora.active():
        with adapter.applied(backbone, 1.0):
            torch.testing.assert_close(predict(backbone), expected)


def test_another_base_is_refused_before_it_is_touched() -> None:
    backbone = tiny_zeroscope()
    adapter, before = random_adapter(backbone), dict(backbone.network.named_parameters())
    name = "conv_in.bias"
    bad = {
        "family": (tiny_animatediff(), adapter.deltas, "trained on zeroscope"),
        "name": (backbone, {**adapter.deltas, "nowhere.weight": torch.zeros(1)}, "nowhere.weight"),
        "shape": (
            backbone,
            {**adapter.deltas, name: torch.zeros(3)},
            r"conv_in\.bias is 8 .* is 3",
        ),
    }
    for base, deltas, message in bad.values():
        changed = WeightsAdapter(scope="temporal", family="zeroscope", deltas=deltas)
        with pytest.raises(AdapterError, match=message), changed.applied(base, 1.0):
            pass
    assert all(p is before[name] for name, p in backbone.network.named_parameters())


def test_tensors_and_options_that_are_no_weights() -> None:
    build = WeightsAdapter.from_state_dict
    with pytest.raises(FormatError, match=r"x\.weight is of type torch\.int64"):
        build({"x.weight": torch.zeros(1).long()}, scope="temporal", family="zeroscope", options={})
    with pytest.raises(FormatError, match="no options; got alpha"):
        build({}, scope="temporal", family="zeroscope", options={"alpha": 1})
