"""The learning rate of every pretraining run."""

from __future__ import annotations

import math


def one_cycle(step: int, total: int, warmup: int = 100) -> float:
    """The factor on the learning rate: linear over `warmup` steps, then a cosine to zero at
    `total`."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
