"""ComfyUI in this process, before any test file of this folder is imported.

`nodes`, `utils` and `app` are names of ComfyUI's and, the first, of this repository too: its folder
is put first on the path, and these are imported at once, so that they are ComfyUI's ever after.
`tests` is imported before that, since ComfyUI has a folder of that name as well.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import tempfile
from pathlib import Path

import pytest

import tests.tiny  # noqa: F401  (see above)
from tests.comfyui.place import place

BASE = Path(tempfile.mkdtemp(prefix="comfyui-inside-"))


def start_comfyui(path: Path, base: Path) -> None:
    """What ComfyUI's main.py does before it loads packs, on the CPU and in folders of its own."""
    sys.path.insert(0, str(path))
    arguments = ["--cpu", "--base-directory", str(base), "--database-url", "sqlite:///:memory:"]
    pytest_arguments, sys.argv = sys.argv, [str(path / "main.py"), *arguments]
    try:
        import comfy.options

        comfy.options.enable_args_parsing()
        importlib.import_module("comfy.cli_args")  # reads sys.argv
    finally:
        sys.argv = pytest_arguments
    # In this order: `nodes` imports `utils.extra_config`.
    for name in ("app.logger", "utils.extra_config", "nodes", "server"):
        importlib.import_module(name)
    import server

    server.PromptServer(asyncio.new_event_loop())


start_comfyui(place(os.environ).path, BASE)


@pytest.fixture(scope="session")
def comfy_base() -> Path:
    """ComfyUI's folders: models, input, output, temp, user, as far as something made them."""
    return BASE
