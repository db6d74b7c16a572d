"""No ComfyUI is left running when pytest is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.comfyui.place import REPOSITORY

PARENT = """
import subprocess, sys, time
from tests.comfyui.bound import bound
child = subprocess.Popen(bound([sys.executable, "-c", "import time; time.sleep(300)"]))
print(child.pid, flush=True)
time.sleep(300)
"""


def running(process: int) -> bool:
    """Whether it is there and no zombie."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="done by a call of Linux's")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_ends_with_its_parent(how: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert running(child)
    os.kill(parent.pid, how)
    parent.wait(timeout=30)
    deadline = time.monotonic() + 30
    while running(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running(child)
