"""The optimiser's part of a step: what it waits for, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from motion_core.errors import TrainingError
from motion_core.methods.base import LossTerm
from motion_core.training.settings import TrainSettings
from motion_core.training.stepper import Stepper

from ..runs import free_group

CPU = torch.device("cpu")


class Waits(TorchDispatchMode):
    """count: how often a number was asked for within the context."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def stepper(**settings: Any) -> tuple[Stepper, dict[str, nn.Parameter]]:
    weights = {name: nn.Parameter(torch.tensor([1.0, 2.0])) for name in ("a", "b")}
    groups = {name: free_group(weight) for name, weight in weights.items()}
    chosen = TrainSettings(learning_rate=0.1, warmup_steps=0, **settings)
    return Stepper(groups=groups, settings=chosen, device=CPU), weights


def losses(weights: dict[str, nn.Parameter]) -> list[LossTerm]:
    """L_a = 3 w_1 + 4 w_2 = 11 with gradient (3, 4), twice; L_b = 12 w_1 = 12."""
    a = [(weights["a"] * torch.tensor([3.0, 4.0])).sum() for _ in range(2)]
    b = (weights["b"] * torch.tensor([12.0, 0.0])).sum()
    return [LossTerm("motion", a[0], "a"), LossTerm("looks", b, "b"), LossTerm("motion", a[1], "a")]


def checked(one: Stepper, terms: list[LossTerm]) -> tuple[dict[str, float], float]:
    values = [(term.name, one.backward(term)) for term in terms]
    return one.checked(values, one.clip_gradients(["b", "a"]), 4)


def test_losses_are_means_and_the_norm_is_of_all() -> None:
    """Gradients (6, 8) and (12, 0): lengths 10 and 12; together sqrt(100 + 144)."""
    one, weights = stepper()
    means, norm = checked(one, losses(weights))
    assert means == {"motion": 11.0, "looks": 12.0}
    assert norm == pytest.approx(math.sqrt(244))


def test_a_step_waits_once() -> None:
    """The stacked losses and norms are read as a list, and nothing else is."""
    one, weights = stepper(max_grad_norm=1.0)
    terms = losses(weights)
    with Waits() as waits:
        values = [(term.name, one.backward(term)) for term in terms]
        norms = one.clip_gradients(["a", "b"])
    assert waits.count == 0
    assert all(isinstance(value, Tensor) for _, value in values)
    one.checked(values, norms, 4)


def test_clipping_is_of_each_group() -> None:
    """(6, 8) of length 10 becomes (0.6, 0.8); the norm is told as it was before."""
    one, weights = stepper(max_grad_norm=1.0)
    _, norm = checked(one, losses(weights))
    assert weights["a"].grad is not None
    torch.testing.assert_close(weights["a"].grad, torch.tensor([0.6, 0.8]))
    assert norm == pytest.approx(math.sqrt(244))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_named(bad: float) -> None:
    one, weights = stepper()
    terms = losses(weights)
    terms[1] = LossTerm("looks", weights["b"].sum() * bad, "b")
    with pytest.raises(TrainingError, match=r"In step 5 the loss 'looks' is -?(nan|inf)"):
        checked(one, terms)


def test_a_gradient_that_is_not_finite_is_named() -> None:
    """sqrt(w - w) is 0 with a slope of infinity, times 0: nan."""
    one, weights = stepper()
    terms = losses(weights)
    terms[0] = LossTerm("motion", (weights["a"] - weights["a"].detach()).sqrt().sum(), "a")
    with pytest.raises(TrainingError, match="In step 5 the gradient of 'a' is inf"):
        checked(one, terms)
