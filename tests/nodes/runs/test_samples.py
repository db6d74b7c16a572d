"""The kept sample comes back exactly, for its own prompts and step only."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from motion_adapters.nodes.runs.samples import forget_samples, keep_samples, last_samples

LEVELS = torch.arange(3 * 3 * 8 * 8).remainder(256).reshape(3, 3, 8, 8)
FRAMES = LEVELS / 127.5 - 1


def test_kept_samples(tmp_path: Path) -> None:
    assert last_samples(tmp_path, ["a car"], 4) is None
    keep_samples(tmp_path, [torch.zeros(12, 3, 8, 8)], ["a bus"], 2)
    keep_samples(tmp_path, [FRAMES], ["a car"], 4)
    (kept,) = last_samples(tmp_path, ["a car"], 4) or []
    assert torch.allclose(kept, FRAMES, atol=1e-6)
    assert last_samples(tmp_path, ["a bus"], 4) is None
    assert last_samples(tmp_path, ["a car", "a bus"], 4) is None
    assert last_samples(tmp_path, ["a car"], 3) is None
    forget_samples(tmp_path, after=4)
    assert last_samples(tmp_path, ["a car"], 4) is not None
    forget_samples(tmp_path, after=3)  # step 4 is done again
    assert last_samples(tmp_path, ["a car"], 4) is None


def test_each_prompt_has_its_frames(tmp_path: Path) -> None:
    keep_samples(tmp_path, [FRAMES, -FRAMES], ["a car", "a bus"], 4)
    one, other = last_samples(tmp_path, ["a car", "a bus"], 4) or []
    assert torch.allclose(one, FRAMES, atol=1e-6) and torch.allclose(other, -FRAMES, atol=1e-6)
    assert last_samples(tmp_path, ["a bus", "a car"], 4) is None
    assert last_samples(tmp_path, ["a car"], 4) is None


def test_what_version_0_1_0_kept_is_found(tmp_path: Path) -> None:
    """Its prompt was a single one, lines and all."""
    keep_samples(tmp_path, [FRAMES], ["anything"], 4)
    told = json.dumps({"prompt": "a car\nat night", "step": 4})
    (tmp_path / "last_sample.json").write_text(told, encoding="utf-8")
    assert last_samples(tmp_path, ["a car\nat night"], 4) is not None
