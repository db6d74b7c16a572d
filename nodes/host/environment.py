"""What an environment in which the core's libraries cannot be imported is told.

diffusers and transformers import torchvision and torchaudio where they are installed; if one of
those was built for another torch, the error comes up deep inside, as an undefined symbol, a missing
operator or a NameError.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ...motion_core.errors import MotionError

logger = logging.getLogger(__name__)

# In the order in which they need each other: the first that fails is to blame.
LIBRARIES = (
    "torchvision",
    "torchaudio",
    "transformers",
    "peft",
    "open_clip",
    "diffusers",
)
_CORE = (
    "...motion_core.diffusion.generate",
    "...motion_core.methods",
    "...motion_core.training.trainer",
    "...motion_core.backbones.files.components",  # diffusers and transformers
    "peft",  # which the core imports late
)
_PACKAGES = {"open_clip": "open_clip_torch"}
_BUILT_FOR_TORCH = ("torchvision", "torchaudio")


@contextmanager
def working_libraries() -> Iterator[None]:
    """If an import fails inside because of the environment, raises MotionError that says what to
    reinstall; the traceback goes to the log.
    """
    try:
        yield
    except (ImportError, RuntimeError, OSError, NameError, AttributeError) as error:
        broken = broken_library()
        if broken is None:
            raise
        logger.exception("Motion Adapters: a required library cannot be imported")
        name, reason = broken
        raise MotionError(advice(name, reason)) from error


def broken_library() -> tuple[str, str] | None:
    """The first library that keeps the core from being imported, and why; None if nothing does.

    torchaudio need not be there.
    """
    try:
        for part in _CORE:
            importlib.import_module(part, __package__)
    except Exception as error:  # a library that does not fit fails in any way
        found = [(name, reason) for name in LIBRARIES if (reason := _trouble(name)) is not None]
        return found[0] if found else ("diffusers", _line(error))
    return None


def _trouble(name: str) -> str | None:
    """Why a library cannot be imported; None if it can, or need not be there."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            return f"it requires {error.name}, which is not installed"
        return None if name == "torchaudio" else "it is not installed"
    except Exception as error:  # see above
        return _line(error)
    return None


def advice(name: str, reason: str) -> str:
    """What to do about a library that cannot be imported."""
    package = _PACKAGES.get(name, name)
    torch_version = _version("torch")
    what = f"{package} {_version(package) or ''}".strip()
    if name in _BUILT_FOR_TORCH and _version(package):
        hint = (
            f"Reinstall the {package} build that matches torch {torch_version} (from the same "
            f"index as torch), or remove it with: pip uninstall {package}"
            if name == "torchaudio"
            else f"Reinstall the {package} build that matches torch {torch_version}, from the "
            "same index as torch."
        )
    else:
        hint = (
            "In ComfyUI's Python environment, run: pip install -U -r requirements.txt in this "
            "pack's folder."
        )
    return f"{what} cannot be imported ({reason}). {hint} Then restart ComfyUI."


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
