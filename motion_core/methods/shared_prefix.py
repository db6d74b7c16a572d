"""What two passes over the same input have in common: the layers before the first trained one.

In: a network, and names of its parameters or layers that differ between the passes. Out: a context
for the first pass, in which the outputs of those parts are kept that run before any of these, and
one for the second, which takes them from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from ..backbones.replacing import replaced_forward


class SharedPrefix:
    """Of one pair of passes on the same latents, timesteps and prompts.

    Parts are the network's children and those of lists, down_blocks.0 say; of one that changes the
    lists in it, down_blocks.2.resnets.0 say.
    """

    def __init__(self, network: nn.Module, changed: Sequence[str]) -> None:
        self._parts = {part: _changes(path, changed) for path, part in _parts_of(network, changed)}
        self._kept: dict[nn.Module, list[Any]] = {}
        self._is_over = False

    @contextmanager
    def kept(self) -> Iterator[None]:
        """For the first pass."""
        with self._through(self._keep):
            yield

    @contextmanager
    def taken(self) -> Iterator[None]:
        """For the second."""
        with self._through(self._take):
            yield

    @contextmanager
    def _through(self, call: Callable[..., Any]) -> Iterator[None]:
        with ExitStack() as stack:
            for part in self._parts:
                stack.enter_context(replaced_forward(part, _called(call, part, part.forward)))
            yield

    def _keep(self, part: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        self._is_over = self._is_over or self._parts[part]
        output = forward(*args, **kwargs)
        if not self._is_over:
            self._kept.setdefault(part, []).append(output)
        return output

    def _take(self, part: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        kept = self._kept.get(part)
        return kept.pop(0) if kept else forward(*args, **kwargs)


def _changes(path: str, changed: Sequence[str]) -> bool:
    return any(name == path or name.startswith(f"{path}.") for name in changed)


def _parts_of(network: nn.Module, changed: Sequence[str]) -> Iterator[tuple[str, nn.Module]]:
    for name, child in network.named_children():
        if isinstance(child, nn.ModuleList):
            yield from _in_list(name, child, changed)
        else:
            yield name, child


def _in_list(
    path: str, parts: nn.ModuleList, changed: Sequence[str]
) -> Iterator[tuple[str, nn.Module]]:
    for place, part in enumerate(parts):
        name = f"{path}.{place}"
        lists = _lists_in(part) if _changes(name, changed) else {}
        if not lists:
            yield name, part
        for inner, children in lists.items():
            yield from _in_list(f"{name}.{inner}", children, changed)


def _lists_in(part: nn.Module) -> dict[str, nn.ModuleList]:
    return {n: child for n, child in part.named_children() if isinstance(child, nn.ModuleList)}


def _called(
    call: Callable[..., Any], part: nn.Module, forward: Callable[..., Any]
) -> Callable[..., Any]:
    return lambda *args, **kwargs: call(part, forward, args, kwargs)
