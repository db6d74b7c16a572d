"""What nodes say is read on the nodes: reports and warnings, in classic and in Vue nodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.comfyui.server import Server

from .tab import Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(900)

RECAPTION = "a red circle on a checkered floor, flat colours"
GRAPH = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 64, "batch_size": 8, "color": 0},
    },
    "2": {
        "class_type": "MotionClip",
        "inputs": {"video": ["1", 0], "prompt": "a circle moves", "frames": 8},
    },
    "3": {
        "class_type": "RecaptionFrames",
        "inputs": {"clips": ["2", 0], "by": "text", "by.text": RECAPTION},
    },
}


@pytest.mark.parametrize("vue", [False, True], ids=["classic", "vue"])
def test_a_node_says_its_text(browser: Browser, server: Server, tmp_path: Path, vue: bool) -> None:
    path = tmp_path / f"said-{vue}.json"
    path.write_text(json.dumps(GRAPH), encoding="utf-8")
    tab = Tab(browser, server, {"Comfy.VueNodes.Enabled": vue})
    tab.drop(path)
    texts = tab.page.locator(".motion-adapters-said")
    said, covered = (texts.filter(has_text=text) for text in (RECAPTION, "frames at"))
    assert not said.is_visible() and not covered.is_visible()
    tab.run()
    said.wait_for(state="visible")
    assert said.text_content() == RECAPTION
    assert "8 frames at 8 fps (1 s), 512x512 pixels" in (covered.text_content() or "")
    tab.run()  # nothing is done again, what was said stays
    tab.until(lambda: len(server.get("/history")) > 1)
    assert said.text_content() == RECAPTION
    assert tab.faults == []
