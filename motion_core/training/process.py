"""What a run needs of its process: its own global generators, whole steps, its memory use."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch


@contextmanager
def kept_global_rng(device: torch.device) -> Iterator[None]:
    """Puts torch's global generators, of the CPU and of a CUDA `device`, back as they were."""
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        yield


@contextmanager
def own_global_rng(device: torch.device, seed: int) -> Iterator[None]:
    """Seeds torch's global generators, which dropout draws from; then they are as they were."""
    with kept_global_rng(device):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds Ctrl-C back until the block is done. On other threads than the main one it is never
    delivered.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler if handler is not None else signal.SIG_DFL)
    if held:
        signal.raise_signal(signal.SIGINT)


class MemoryUse:
    """What a training takes: bytes allocated on a CUDA device, else the process's resident bytes.
    The peak is that since this was made, as a server's process has done other things before.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.peak = 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def measure(self) -> tuple[int, int]:
        """Now, and at its highest. On the CPU the highest that was measured."""
        if self.device.type == "cuda":
            now = int(torch.cuda.memory_allocated(self.device))
            self.peak = int(torch.cuda.max_memory_allocated(self.device))
        else:
            now = int(psutil.Process().memory_info().rss)
            self.peak = max(self.peak, now)
        return now, self.peak
