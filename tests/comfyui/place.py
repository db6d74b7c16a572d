"""Which ComfyUI the tests use: COMFYUI_PATH and COMFYUI_PYTHON."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class ComfyPlace:
    """path: the folder of ComfyUI's main.py. python: its interpreter."""

    path: Path
    python: Path


def missing(environ: Mapping[str, str]) -> str | None:
    """What is wrong with the two variables, in words; None when they name a ComfyUI."""
    for name, what in (("COMFYUI_PATH", "main.py"), ("COMFYUI_PYTHON", None)):
        given = environ.get(name)
        if not given:
            return (
                f"{name} is not set. Set COMFYUI_PATH to a ComfyUI folder and COMFYUI_PYTHON to "
                "the interpreter of its environment."
            )
        file = Path(given) / what if what else Path(given)
        if not file.is_file():
            return f"{name} is {given}, and there is no {file}."
    return None


def place(environ: Mapping[str, str]) -> ComfyPlace:
    """The ComfyUI that the variables name. Call `missing` first."""
    path = Path(environ["COMFYUI_PATH"]).resolve()
    # Not resolved: the interpreter of an environment is a link to the system's.
    return ComfyPlace(path=path, python=Path(os.path.abspath(environ["COMFYUI_PYTHON"])))


def running_inside(environ: Mapping[str, str]) -> bool:
    """Whether this process is ComfyUI's own interpreter."""
    return missing(environ) is None and place(environ).python == Path(
        os.path.abspath(sys.executable)
    )
