"""LoRAs on one layer as one operation: beside peft's layer, and derived by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear as PeftLinear
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from motion_core.adapters.lora.casts import Casts
from motion_core.adapters.lora.layer import LoraLinear, LoraPart, compose, together

IN, OUT = 24, 40
SETS = {"a": (4, 1.0, 0.0), "b": (8, 0.5, 0.0)}
"""Rank, scale and dropout."""


class Counted(TorchDispatchMode):
    """names: of every operation within the context."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def base(bias: bool = True) -> nn.Linear:
    layer = nn.Linear(IN, OUT, bias=bias)
    for weight in layer.parameters():
        weight.data.normal_(0, 0.3, generator=rng(1))
        weight.requires_grad_(False)
    return layer


def ours(linear: nn.Linear, sets: Any = SETS, active: Sequence[str] = tuple(SETS)) -> LoraLinear:
    layer, draw = LoraLinear(linear), rng(2)
    for name, (rank, scale, dropout) in sets.items():
        down, up = torch.randn(rank, IN, generator=draw), torch.randn(OUT, rank, generator=draw)
        layer.parts[name] = LoraPart(down, up, scale=scale, dropout=dropout)
    layer.active = tuple(active)
    return layer


def theirs(linear: nn.Linear, sets: Any = SETS, active: Sequence[str] = tuple(SETS)) -> PeftLinear:
    """peft's layer with the same matrices."""
    same, model = ours(linear, sets), nn.Sequential(linear)
    for name, (rank, scale, dropout) in sets.items():
        config = LoraConfig(
            r=rank,
            lora_alpha=rank * scale,  # type: ignore[arg-type]
            lora_dropout=dropout,
            target_modules="0",
        )
        inject_adapter_in_model(config, model, name)
        layer = model[0]
        assert isinstance(layer, PeftLinear)
        for side, matrix in (
            (layer.lora_A, same.part(name).down),
            (layer.lora_B, same.part(name).up),
        ):
            weight = side[name].weight
            assert isinstance(weight, nn.Parameter)
            weight.data.copy_(matrix.data)
    layer = model[0]
    assert isinstance(layer, PeftLinear)
    layer.set_adapter(list(active))
    return layer


def found(layer: nn.Module, matrices: Sequence[nn.Parameter]) -> list[Tensor]:
    """Output, and the gradients of sum(y·c) by x and the matrices."""
    x = torch.randn(3, 5, IN, generator=rng(3)).requires_grad_(True)
    y = layer(x)
    (y * torch.randn(y.shape, generator=rng(4))).sum().backward()
    grads = [x.grad, *(matrix.grad for matrix in matrices)]
    assert all(grad is not None for grad in grads)
    return [y.detach(), *(grad for grad in grads if grad is not None)]


def of_ours(layer: LoraLinear, names: Sequence[str]) -> list[nn.Parameter]:
    return [m for name in names for m in (layer.part(name).down, layer.part(name).up)]


def of_theirs(layer: PeftLinear, names: Sequence[str]) -> list[nn.Parameter]:
    return [m for name in names for m in (layer.lora_A[name].weight, layer.lora_B[name].weight)]  # type: ignore[misc]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("active", [("a",), ("b",), ("a", "b")])
def test_output_and_gradients_are_pefts(active: Sequence[str], bias: bool) -> None:
    linear = base(bias)
    mine, its = ours(linear, active=active), theirs(linear, active=active)
    pairs = zip(found(mine, of_ours(mine, active)), found(its, of_theirs(its, active)), strict=True)
    for value, expected in pairs:
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_composed_it_is_peft_bit_for_bit(dropout: float) -> None:
    linear, sets = base(), {"a": (4, 0.5, dropout), "b": (8, 1.0, dropout)}
    mine, its = ours(linear, sets), theirs(linear, sets)
    compose(mine)
    torch.manual_seed(5)
    values = found(mine, of_ours(mine, ("a", "b")))
    torch.manual_seed(5)
    expected = found(its, of_theirs(its, ("a", "b")))
    assert all(torch.equal(*pair) for pair in zip(values, expected, strict=True))


def test_without_active_ones_it_is_the_linear_layer() -> None:
    linear = base()
    x = torch.randn(3, IN)
    assert torch.equal(ours(linear, active=())(x), linear(x))


def test_dropout_drops_what_a_gives() -> None:
    """W = 0, A = (1, 1), so t = x_1 + x_2; B = (1, 2)ᵀ, s = 3, p = 1/2: y is 0 or 2·3·t·(1, 2).
    Of sum(y): dB = s·t' each, t' the dropped t; dA = s·(1 + 2)·2·x where it was kept; dx likewise.
    """
    linear = nn.Linear(2, 2, bias=False)
    linear.weight = nn.Parameter(torch.zeros(2, 2), requires_grad=False)
    layer = LoraLinear(linear)
    part = LoraPart(torch.ones(1, 2), torch.tensor([[1.0], [2.0]]), scale=3.0, dropout=0.5)
    layer.parts["a"], layer.active = part, ("a",)
    torch.manual_seed(0)
    x = torch.arange(1.0, 41.0).view(20, 2).requires_grad_(True)
    y = layer(x)
    kept = y[:, 0] != 0
    assert 0 < int(kept.sum()) < 20
    t = 2 * x.detach().sum(1) * kept
    torch.testing.assert_close(y.detach(), 3 * t[:, None] * torch.tensor([1.0, 2.0]))
    y.sum().backward()
    back = 18.0 * kept[:, None]
    assert part.down.grad is not None and part.up.grad is not None and x.grad is not None
    torch.testing.assert_close(part.down.grad, (back * x.detach()).sum(0, keepdim=True))
    torch.testing.assert_close(part.up.grad, (3 * t.sum()).expand(2, 1))
    torch.testing.assert_close(x.grad, back.expand(20, 2))
    layer.eval()
    torch.testing.assert_close(layer(x).detach()[0], torch.tensor([9.0, 18.0]))


def test_what_needs_no_gradient_gets_none_and_costs_no_product() -> None:
    """Backward has a product each for dx, B'g, dx again, dA and dB. Without x's and A's gradient
    only dB is left."""
    layer = ours(base(), {"a": (4, 1.0, 0.0)}, ("a",))
    layer.part("a").down.requires_grad_(False)
    y = layer(torch.randn(3, IN))
    with Counted() as counted:
        y.sum().backward()
    assert [name for name in counted.names if name in ("mm", "addmm", "addmm_")] == ["addmm"]
    assert layer.part("a").down.grad is None and layer.part("a").up.grad is not None


def test_matrices_are_cast_once_an_optimiser_step() -> None:
    layer = ours(base().to(torch.bfloat16), {"a": (4, 1.0, 0.0)}, ("a",))
    part, x = layer.part("a"), torch.randn(3, IN, dtype=torch.bfloat16)

    def casts() -> int:
        with Counted() as counted:
            assert layer(x).dtype == torch.bfloat16
        assert "_to_copy" not in counted.names
        return counted.names.count("_foreach_copy_")

    assert [casts(), casts()] == [1, 0]
    with torch.no_grad():
        part.down.mul_(0.5)
    assert [casts(), casts()] == [1, 0]
    expected = (part.down.to(torch.bfloat16), part.up.to(torch.bfloat16))
    assert torch.equal(part.casts.of(part.down, torch.bfloat16), expected[0])
    assert torch.equal(part.casts.of(part.up, torch.bfloat16), expected[1])


def test_under_autocast_the_product_is_the_narrow_one() -> None:
    layer = ours(base(), {"a": (4, 0.5, 0.0)}, ("a",))
    x = torch.randn(3, IN, generator=rng(3)).requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    part = layer.part("a")
    assert [t.grad.dtype for t in (x, part.down, part.up) if t.grad is not None] == [
        torch.float32
    ] * 3
    torch.testing.assert_close(y.float(), layer(x), rtol=0.05, atol=0.1)


def test_forward_and_backward_are_few_operations() -> None:
    """Without dropout, at scale 1: three products forward, five backward, and nothing else that
    computes."""
    layer = ours(base(), {"a": (4, 1.0, 0.0)}, ("a",))
    x = torch.randn(3, IN).requires_grad_(True)
    with Counted() as forward:
        y = layer(x)
    with Counted() as backward:
        torch.autograd.grad(y, [x, *layer.parts.parameters()], torch.ones_like(y))
    quiet = {"t", "view", "permute", "detach", "_unsafe_view", "ones_like", "alias", "expand"}
    quiet |= {"split", "split_with_sizes", "new_empty", "empty"}
    assert [n for n in forward.names if n not in quiet] == ["mm", "addmm", "addmm_"]
    assert [n for n in backward.names if n not in quiet] == [
        *("addmm", "mm", "addmm_", "mm", "addmm")
    ]


def siblings(dropouts: Sequence[float] = (0.0, 0.0, 0.0), cast_together: bool = False) -> list[Any]:
    """Three layers with a LoRA "a" of ranks 4, 6 and 8 and scales 1, 2 and 3."""
    layers = []
    for number, dropout in enumerate(dropouts):
        linear = base(bias=number != 1)
        with torch.no_grad():
            linear.weight.mul_(number + 1)
        layers.append(ours(linear, {"a": (4 + 2 * number, 1.0 + number, dropout)}, ("a",)))
    if cast_together:
        parts = [layer.part("a") for layer in layers]
        casts = Casts([*(part.down for part in parts), *(part.up for part in parts)])
        for part in parts:
            part.casts = casts
    return layers


def found_of(outputs: Sequence[Tensor], x: Tensor, layers: Sequence[LoraLinear]) -> list[Tensor]:
    """Outputs, and the gradients of their products with other numbers each."""
    draw = rng(4)
    loss = sum((y.float() * torch.randn(y.shape, generator=draw)).sum() for y in outputs)
    matrices = [m for layer in layers for m in of_ours(layer, ("a",))]
    return [*outputs, *torch.autograd.grad(loss, [x, *matrices])]  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_layers_together_are_each_by_itself(dtype: torch.dtype) -> None:
    layers = siblings(cast_together=True)
    for layer in layers:
        layer.base_layer.to(dtype)
    x = torch.randn(3, 5, IN, generator=rng(3)).to(dtype).requires_grad_(True)
    pairs = zip(
        found_of(together(x, layers), x, layers),
        found_of([layer(x) for layer in layers], x, layers),
        strict=True,
    )
    precise = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 0.05, "atol": 2}
    for value, expected in pairs:
        assert value.dtype == expected.dtype
        torch.testing.assert_close(value, expected, **precise)


def test_layers_together_are_fewer_operations() -> None:
    """Of three layers each: one product for A, and one for all of dA; dx needs one a layer and one
    for A. Casts are one operation, and the A of all are one matrix as they lie.
    """
    layers = siblings(cast_together=True)
    for layer in layers:
        layer.base_layer.to(torch.bfloat16)
    x = torch.randn(3, IN, dtype=torch.bfloat16).requires_grad_(True)
    with Counted() as forward:
        outputs = together(x, layers)
    assert forward.names.count("_foreach_copy_") == 1 and "cat" not in forward.names
    products = [n for n in forward.names if "mm" in n]
    assert products == ["mm", *("addmm", "addmm_"), *("mm", "addmm_"), *("addmm", "addmm_")]
    matrices = [m for layer in layers for m in of_ours(layer, ("a",))]
    with Counted() as backward:
        torch.autograd.grad(outputs, [x, *matrices], [torch.ones_like(y) for y in outputs])
    products = [n for n in backward.names if "mm" in n]
    assert products == [*["addmm"] * 3, "mm", *["addmm_"] * 3, "mm", *["addmm"] * 3]
    assert backward.names.count("_to_copy") == 2


def test_shares_of_dropout_that_differ_are_kept_apart() -> None:
    """A share of nothing leaves all; of the others whole columns of t are there or not."""
    layers = siblings((0.0, 0.5, 0.5))
    torch.manual_seed(3)
    x = torch.randn(200, IN, generator=rng(3)).requires_grad_(True)
    kept, dropped, _ = together(x, layers)
    torch.testing.assert_close(kept, layers[0](x))
    part = layers[1].part("a")
    beside = (dropped - layers[1].base_layer(x)).detach() / part.scale
    t = torch.linalg.lstsq(part.up.detach(), beside.T).solution.T
    factors = t / (x.detach() @ part.down.detach().T)
    assert set(factors.round(decimals=2).abs().unique().tolist()) == {0.0, 2.0}
    (grad,) = torch.autograd.grad(dropped.sum(), part.down)
    expected = part.scale * (factors * part.up.detach().sum(0)).T @ x.detach()
    torch.testing.assert_close(grad, expected, rtol=1e-3, atol=1e-2)


def test_a_layer_that_a_hook_looks_at_is_called() -> None:
    layers = siblings()
    x, seen = torch.randn(3, IN), []
    layers[0].register_forward_pre_hook(lambda layer, inputs: (inputs[0] + 1,))
    layers[2].register_forward_hook(lambda layer, inputs, output: seen.append(output))
    first, second, third = together(x, layers)
    torch.testing.assert_close(first, ours_of(layers[0], x + 1))
    torch.testing.assert_close(second, layers[1](x))
    assert len(seen) == 1 and seen[0] is third


def ours_of(layer: LoraLinear, x: Tensor) -> Tensor:
    """W x + b + s·B A x."""
    part = layer.part("a")
    return layer.base_layer(x) + part.scale * x @ part.down.T @ part.up.T
