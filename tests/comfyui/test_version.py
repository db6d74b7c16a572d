"""The ComfyUI that is tested is one that the pack says it supports."""

from __future__ import annotations

import re

from tests.comfyui.place import REPOSITORY
from tests.comfyui.server import Server


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def test_this_version_is_supported(server: Server) -> None:
    """`requires-comfyui` names the oldest version; these tests have passed on it and on newer
    ones.
    """
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    required = re.search(r'^requires-comfyui = ">=([\d.]+)"$', text, re.MULTILINE)
    assert required is not None
    running = server.get("/system_stats")["system"]["comfyui_version"]
    assert numbers(running) >= numbers(required[1])
