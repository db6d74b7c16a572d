"""Changes that are not made yet, tried for as long as a step is counted: what would they gain?

One that is made is struck out here, and told in docs/speed.md with what it has gained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from unittest.mock import patch

import torch

from motion_core.training import stepper


@contextmanager
def _without_autocast() -> Iterator[None]:
    """The base computes in its own dtype, as on a CPU; norms too give what they take."""
    with patch.object(stepper.Stepper, "autocast", lambda self: nullcontext()):
        yield


@contextmanager
def _fused_adamw() -> Iterator[None]:
    """The optimiser in one operation a step, which keeps no tensors in between."""
    with patch.object(stepper, "AdamW", partial(torch.optim.AdamW, fused=True)):
        yield


TRIALS: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "no autocast": _without_autocast,
    "fused AdamW": _fused_adamw,
}
