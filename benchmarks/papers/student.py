"""Student's t distribution, which neither numpy nor torch has."""

from __future__ import annotations

import math
from functools import lru_cache


def upper_tail(t: float, freedom: int) -> float:
    """P(T ≥ t) for a whole number of degrees of freedom from 1 up.

    Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.3 and 26.7.4: with
    θ = atan(|t| / √freedom), P(|T| ≤ |t|) is a finite sum of powers of cos θ.
    """
    angle = math.atan(abs(t) / math.sqrt(freedom))
    cos, sin = math.cos(angle), math.sin(angle)
    if freedom % 2:
        term, total = cos, 0.0
        for k in range(1, (freedom - 1) // 2 + 1):
            total += term
            term *= cos * cos * 2 * k / (2 * k + 1)
        inside = 2 / math.pi * (angle + sin * total)
    else:
        term, total = 1.0, 0.0
        for k in range(1, freedom // 2 + 1):
            total += term
            term *= cos * cos * (2 * k - 1) / (2 * k)
        inside = sin * total
    tail = max(1.0 - inside, 0.0) / 2
    return tail if t >= 0 else 1.0 - tail


@lru_cache(maxsize=256)
def quantile(tail: float, freedom: int) -> float:
    """The t that is reached or exceeded with the chance `tail`, above 0 and below a half."""
    low, high = 0.0, 1.0
    while upper_tail(high, freedom) > tail:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if upper_tail(middle, freedom) > tail else (low, middle)
    return high
