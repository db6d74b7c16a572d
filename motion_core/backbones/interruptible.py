"""A wish to stop, heard inside a pass: at full size on a CPU one takes minutes.

In: networks and a callable that raises once somebody wants to stop. Out: a context in which it is
asked before each layer that has no parts of its own computes, and before the gradient of its
output does. What it raises ends the pass, and the context leaves the networks as they were.

On a CPU the attention of a large frame takes longer than all layers: there it is done for some of
the batch after the other, to the same bits, as each of them is attended to by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

Listen = Callable[[], None]

ATTENTION_AT_ONCE = 2e10
"""Pairs of a query and a key, each counted as often as its head is wide, and 32 times more for its
exponential: two frames of 4096 places with Stable Diffusion's eight heads of 40."""


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
        if any(weight.device.type == "cpu" for layer in layers for weight in layer.parameters()):
            hooks.enter_context(_PieceByPiece(listen))
        for layer in layers:
            hooks.callback(layer.register_forward_pre_hook(before).remove)
            hooks.callback(layer.register_forward_hook(after).remove)
        yield


class _PieceByPiece(TorchFunctionMode):
    """Attention, of as many of the batch at once as `ATTENTION_AT_ONCE` allows."""

    def __init__(self, listen: Listen) -> None:
        super().__init__()
        self.listen = listen

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is scaled_dot_product_attention and len(args) == 3:
            return self._attend(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, **how: Any) -> Tensor:
        each = query[0].numel() // query.shape[-1] * key.shape[-2] * (query.shape[-1] + 32)
        at_once = max(1, int(ATTENTION_AT_ONCE // max(1, each)))
        plain = how.get("attn_mask") is None and not how.get("dropout_p")
        if not plain or len(query) <= at_once or query.ndim != 4:
            return scaled_dot_product_attention(query, key, value, **how)
        pieces = []
        for part in zip(*(tensor.split(at_once) for tensor in (query, key, value)), strict=True):
            self.listen()
            pieces.append(scaled_dot_product_attention(*part, **how))
            if pieces[-1].requires_grad:
                pieces[-1].register_hook(_asking(self.listen))
        return torch.cat(pieces)


def _asking(listen: Listen) -> Callable[[Tensor], None]:
    """A tensor's hook that leaves its gradient as it is."""

    def hook(gradient: Tensor) -> None:
        listen()

    return hook


def _is_leaf(part: nn.Module) -> bool:
    return next(part.children(), None) is None
