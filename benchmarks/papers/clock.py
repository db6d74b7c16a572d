"""Seconds of work rather than of waiting: a benchmark of nights shares its machine with others."""

from __future__ import annotations

import time

import torch


class Clock:
    """Starts now. On a CPU it counts the seconds that this process has worked, all its cores
    together; on an accelerator, which it cannot see into, those that pass.
    """

    def __init__(self, device: torch.device) -> None:
        self.on_cpu = device.type == "cpu"
        self.passed, self.worked = time.monotonic(), time.process_time()

    def seconds(self) -> float:
        """Since the start."""
        if self.on_cpu:
            return time.process_time() - self.worked
        return time.monotonic() - self.passed

    def share(self) -> float:
        """Of the seconds that passed: what a time that was taken otherwise has to be multiplied
        with, such as that of a training that was stopped and resumed.
        """
        return self.seconds() / (time.monotonic() - self.passed)
