"""The kept sample comes back exactly, for its own prompt and step only."""

from __future__ import annotations

from pathlib import Path

import torch
from motion_adapters.nodes.runs.samples import forget_samples, keep_samples, last_samples


def test_kept_samples(tmp_path: Path) -> None:
    assert last_samples(tmp_path, "a car", 4) is None
    levels = torch.arange(3 * 3 * 8 * 8).remainder(256).reshape(3, 3, 8, 8)
    frames = levels / 127.5 - 1
    keep_samples(tmp_path, torch.zeros(12, 3, 8, 8), "a bus", 2)
    keep_samples(tmp_path, frames, "a car", 4)
    kept = last_samples(tmp_path, "a car", 4)
    assert kept is not None and torch.allclose(kept, frames, atol=1e-6)
    assert last_samples(tmp_path, "a bus", 4) is None
    assert last_samples(tmp_path, "a car", 3) is None
    forget_samples(tmp_path, after=4)
    assert last_samples(tmp_path, "a car", 4) is not None
    forget_samples(tmp_path, after=3)  # step 4 is done again
    assert last_samples(tmp_path, "a car", 4) is None
