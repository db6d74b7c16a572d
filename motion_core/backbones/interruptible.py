"""A wish to stop, heard inside a pass: at full size on a CPU one takes minutes.

In: networks and a callable that raises once somebody wants to stop. Out: a context in which it is
asked before each layer that has no parts of its own computes, and before the gradient of its
output does. What it raises ends the pass, and the context leaves the networks as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

Listen = Callable[[], None]


@contextmanager
def interruptible(networks: Iterable[nn.Module], listen: Listen) -> Iterator[None]:
    """listen: raises to end the pass; on an accelerator it is called on torch's own threads too.

    What is put into a network within the context, as adapters are, computes between its layers and
    is not asked about itself. No number changes, whether gradients are taken or not.
    """

    def before(layer: nn.Module, inputs: Any) -> None:
        listen()

    def after(layer: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(_asking(listen))

    layers = {part: None for network in networks for part in network.modules() if _is_leaf(part)}
    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_pre_hook(before).remove)
            hooks.callback(layer.register_forward_hook(after).remove)
        yield


def _asking(listen: Listen) -> Callable[[Tensor], None]:
    """A tensor's hook that leaves its gradient as it is."""

    def hook(gradient: Tensor) -> None:
        listen()

    return hook


def _is_leaf(part: nn.Module) -> bool:
    return next(part.children(), None) is None
