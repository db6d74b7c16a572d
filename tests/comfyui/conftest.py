"""Tests in a real ComfyUI: `pytest -m comfyui`. The default run leaves them out.

Two variables say which ComfyUI: COMFYUI_PATH, the folder with its main.py, and COMFYUI_PYTHON, the
interpreter of an environment that has what it and this pack require. Without them `-m comfyui`
fails at once and says so. Any version that the pack supports will do; run it once for each.

COMFYUI_EVOLVED_PATH and COMFYUI_VIDEOHELPER_PATH, folders of AnimateDiff-Evolved and of
VideoHelperSuite, are needed only by the tests of working together with them; those are skipped
without.

Two kinds of test, told apart by where they lie:

* `tests/comfyui/test_*.py` talk to a server. They take the fixture `server` (`server.Server`):
  a ComfyUI process with only this pack, on the CPU, with folders of its own.
  `server.run(prompt)` queues a prompt in API form and returns its outputs, messages and error;
  `server.get("/object_info")` asks for JSON; `server.base` is its folder (models, input, output).
  These must not import comfy; they run in the interpreter that runs pytest.
* `tests/comfyui/inside/test_*.py` import comfy themselves. They run in COMFYUI_PYTHON:
  `test_inside.py` starts it once for each file, in a process of its own, so that models, patches
  and memory of one file never meet another's. While working on one of them, run it directly, from
  the root of the repository:

      $COMFYUI_PYTHON -m pytest -m comfyui tests/comfyui/inside/test_apply.py

  There ComfyUI is set up before the file is imported (CPU, folders of its own, PromptServer made,
  `import nodes` is ComfyUI's), and the pack is importable as `motion_adapters`, e.g.
  `from motion_adapters.nodes.sockets import MotionBase`. `motion_core` and
  `motion_adapters.motion_core` are the same modules there, so that `tests.tiny` and the pack agree
  on every class. The fixture `comfy_base` is the path of ComfyUI's folders.

The mark `comfyui` is put on all of them here. Tests that are marked `fullsize` too run only when
asked for: `pytest -m "comfyui and fullsize"`. What a test of the default suite needs from `nodes/`
(files that do not import comfy) it imports from `motion_adapters.nodes` as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.comfyui.place import ComfyPlace, missing, place, running_inside

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """The files of `inside` import comfy, which only ComfyUI's own interpreter can."""
    if collection_path == HERE / "inside" and not running_inside(os.environ):
        return True
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the tests of this folder; leaves the full-size ones to who names them."""
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.comfyui)
    if "fullsize" in config.option.markexpr:
        return
    large = [item for item in ours if item.get_closest_marker("fullsize")]
    if large:
        config.hook.pytest_deselected(items=large)
        items[:] = [item for item in items if item not in large]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Without a ComfyUI there is nothing to test, and nobody shall think there was."""
    ours = [item for item in session.items if item.get_closest_marker("comfyui")]
    problem = missing(os.environ)
    if ours and problem and not session.config.option.collectonly:
        raise pytest.UsageError(f"{len(ours)} tests need a ComfyUI, and there is none: {problem}")


@pytest.fixture(scope="session")
def comfyui() -> ComfyPlace:
    """Where ComfyUI is."""
    return place(os.environ)


@pytest.fixture(scope="session")
def server(comfyui: ComfyPlace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A running ComfyUI with this pack and no other (a `server.Server`), for the whole session."""
    from tests.comfyui.server import serve

    with serve(comfyui, tmp_path_factory.mktemp("comfyui")) as running:
        yield running
