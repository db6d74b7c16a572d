"""Where the fixtures of version 0.1.0 lie, and what they were made with."""

from __future__ import annotations

import json
import platform
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

FIXTURES = Path(__file__).parent / "fixtures" / "v0.1.0"
ENCODER_LIBRARIES = ("diffusers", "transformers")


@lru_cache
def read_json(name: str) -> Any:
    """A JSON file of the fixtures, by its path in their folder."""
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


def made_on_such_a_machine() -> bool:
    """Whether numbers come out here bit for bit as they did there, on one thread: the same torch
    and the same kind of processor.
    """
    made = read_json("made_with.json")
    return (
        torch.__version__.partition("+")[0] == made["torch"]
        and platform.machine() == made["machine"]
        and torch.backends.cpu.get_cpu_capability() == made["cpu_capability"]
        and processor() == made["processor"]
        and same_libraries()
    )


def same_libraries() -> bool:
    """Whether the libraries are here in the versions of there whose configurations belong to an
    encoder's digest.
    """
    made = read_json("made_with.json")
    return all(version(name) == made[name] for name in ENCODER_LIBRARIES)


def processor() -> str:
    """The processor's name: what Linux calls its model, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
