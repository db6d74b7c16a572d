"""What is said of the noise beside an adapter."""

from __future__ import annotations

from pathlib import Path

import torch

from motion_core.adapter_files.noise_file import NoiseInfo, has_noise, noise_path, save_noise


def test_noise_is_there_if_it_is_of_this_clip_and_so_many_steps(tmp_path: Path) -> None:
    adapter = tmp_path / "car.safetensors"
    assert not has_noise(adapter, "0123", 50)
    info = NoiseInfo(family="animatediff", version="v3", steps=50, prompt="a car", digest="0123")
    save_noise(noise_path(adapter), torch.zeros(1, 4, 2, 4, 4), info)
    assert has_noise(adapter, "0123", 50)
    assert not has_noise(adapter, "0123", 20) and not has_noise(adapter, "4567", 50)
    noise_path(adapter).write_bytes(b"damaged")
    assert not has_noise(adapter, "0123", 50)
