"""Tests in a real browser: `pytest -m browser`. The default run leaves them out.

They need playwright and a Chromium: the one that CHROMIUM names, or `chromium` on the PATH, or
playwright's own. Tests that open a page by `site.py` need nothing else; the others a ComfyUI, see
tests/comfyui/conftest.py for COMFYUI_PATH and COMFYUI_PYTHON.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.comfyui.place import ComfyPlace, missing, place
from tests.comfyui.server import Server, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = launched(playwright)
        yield opened
        opened.close()


def launched(playwright: Playwright) -> Browser:
    """The Chromium that is to be used. A busy machine takes long to start it."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    arguments = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=path, args=arguments, timeout=180_000)


@pytest.fixture(scope="session")
def comfyui() -> ComfyPlace:
    """Where ComfyUI is."""
    problem = missing(os.environ)
    if problem:
        pytest.fail(problem)
    return place(os.environ)


@pytest.fixture(scope="session")
def server(comfyui: ComfyPlace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running ComfyUI with this pack and no other, for the whole session."""
    with serve(comfyui, tmp_path_factory.mktemp("comfyui")) as running:
        yield running
