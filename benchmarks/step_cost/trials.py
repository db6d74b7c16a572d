"""Changes that are not made yet, tried for as long as a step is counted: what would they gain?

One that is made is struck out here, and told in docs/speed.md with what it has gained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from unittest.mock import patch

from motion_core.training import stepper


@contextmanager
def _without_autocast() -> Iterator[None]:
    """The base computes in its own dtype, as on a CPU; norms too give what they take."""
    with patch.object(stepper.Stepper, "autocast", lambda self: nullcontext()):
        yield


TRIALS: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "no autocast": _without_autocast,
}
