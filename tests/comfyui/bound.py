"""Processes that end with the one that started them, however that ends: `pytest` may be killed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

# prctl's PR_SET_PDEATHSIG is 1, and outlives exec. The parent may be gone before it is set.
_LAUNCH = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def bound(command: Sequence[str]) -> list[str]:
    """The command so that its process is killed when its parent is gone. Does so on Linux alone;
    elsewhere a killed parent leaves it running. command: a program's full path, then its arguments.
    Call it in the process that starts it.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-c", _LAUNCH, str(os.getpid()), *command]
