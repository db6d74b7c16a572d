"""Operations, their FLOPs and bytes, counted by hand; float32 has 4 bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from benchmarks.step_cost.counting import Cost, Counted, Counter
from benchmarks.step_cost.device import OnDevice


def counted(run: Callable[[], object]) -> Counted:
    with OnDevice(), Counter([]) as counter:
        run()
    return counter.counted


def on_device(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def test_a_product_with_a_bias() -> None:
    """(2, 3) x (3, 4): 2·2·3·4 FLOPs; 6 + 12 + 4 numbers in and 8 out."""
    x, weight, bias = on_device(2, 3), on_device(3, 4), on_device(4)
    found = counted(lambda: torch.addmm(bias, x, weight))
    assert found.operations == {"addmm": Cost(1, 48, 4 * 30)}
    assert found.peak == 4 * 8


def test_a_product_that_is_added_in_place() -> None:
    """The same product; 8 + 6 + 12 in, 8 out, and no new memory."""
    y, x, weight = on_device(2, 4), on_device(2, 3), on_device(3, 4)
    found = counted(lambda: y.addmm_(x, weight))
    assert found.operations == {"addmm_": Cost(1, 48, 4 * 34)}
    assert found.peak == 0


def test_views_and_memory_without_contents_cost_nothing() -> None:
    x = on_device(2, 3)
    found = counted(lambda: (x.t().reshape(3, 2, 1)[0], torch.empty_like(x), x.detach()))
    assert found.operations == {}
    assert found.peak == 4 * 6


def test_an_expanded_tensor_is_read_as_what_it_was_expanded_from() -> None:
    """3 numbers and 15 in, 15 out."""
    row, rows = on_device(1, 3), on_device(5, 3)
    found = counted(lambda: rows + row.expand(5, 3))
    assert found.total == Cost(1, 0, 4 * 33)


def test_what_is_overwritten_is_not_read() -> None:
    """6 in and 6 out; then 6 out."""
    x, y = on_device(2, 3), on_device(2, 3)
    found = counted(lambda: (x.copy_(y), x.zero_()))
    assert found.operations == {"copy_": Cost(1, 0, 4 * 12), "zero_": Cost(1, 0, 4 * 6)}


def test_a_list_of_tensors_is_one_launch() -> None:
    """Of 2 and 3 numbers, in and out."""
    tensors = [on_device(2), on_device(3)]
    found = counted(lambda: torch._foreach_mul_(tensors, 2.0))
    assert found.operations == {"_foreach_mul_": Cost(1, 0, 4 * 10)}


@pytest.mark.parametrize(
    ("run", "reads", "writes"),
    [
        (lambda x: x.sum().item(), 1, 0),
        (lambda x: bool((x > 0).all()), 1, 0),
        (lambda x: x.to("cpu"), 1, 0),
        (lambda x: torch.zeros(2).copy_(x), 1, 0),
        (lambda x: torch.zeros(2).to(x.device), 0, 1),
        (lambda x: x.copy_(torch.zeros(2)), 0, 1),
        (lambda x: torch.zeros(2).to(x.device, non_blocking=True), 0, 0),
        (lambda x: torch.zeros(2).sum().item(), 0, 0),
        (lambda x: x + 1, 0, 0),
    ],
)
def test_where_the_host_waits(run: Callable[[Tensor], object], reads: int, writes: int) -> None:
    x = on_device(2)
    waits = counted(lambda: run(x)).waits
    assert (waits.reads, waits.writes) == (reads, writes)


def test_what_the_host_computes_is_not_counted() -> None:
    assert counted(lambda: torch.zeros(3) + 1) == Counted()


def test_a_result_that_is_not_asked_for_again_is_the_same() -> None:
    """Twice the same operation, of which the second is answered from the first."""
    x = on_device(2, 3).t()
    with OnDevice():
        first, again = (torch.native_dropout(x, 0.1, True) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert (one.shape, one.stride(), one.dtype) == (other.shape, other.stride(), other.dtype)
        assert one.untyped_storage().nbytes() == other.untyped_storage().nbytes()
        assert one.untyped_storage()._cdata != other.untyped_storage()._cdata
