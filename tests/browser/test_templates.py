"""The workflows in ComfyUI's template browser, as a person opens them there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.comfyui.place import REPOSITORY
from tests.comfyui.server import Server

from .tab import NODES, Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(900)

NAMES = sorted(file.stem for file in (REPOSITORY / "workflows").glob("*.json"))
OPENED = "sample-base-motion-director"
# The pictures of the templates that are shown, by name, and how wide they are.
THUMBNAILS = """(cards) => cards.map((card) => [
  card.dataset.testid.replace('template-workflow-', ''), card.querySelector('img')?.naturalWidth
])"""


def test_a_template_opens_as_it_ships(browser: Browser, server: Server) -> None:
    tab = Tab(browser, server)
    tab.page.get_by_role("button", name="Templates").first.click()
    dialog = tab.page.get_by_role("dialog").first
    dialog.get_by_text("motion-adapters", exact=True).first.click()
    cards = dialog.locator('[data-testid^="template-workflow-"]')
    tab.page.wait_for_function(
        "count => document.querySelectorAll('[data-testid^=template-workflow-]').length === count",
        arg=len(NAMES),
    )
    for card in cards.all():
        card.scroll_into_view_if_needed()
        tab.page.wait_for_timeout(300)  # a picture is fetched once it comes into view
    assert sorted(cards.evaluate_all(THUMBNAILS)) == [[name, 512] for name in NAMES]
    dialog.locator(f'[data-testid="template-workflow-{OPENED}"]').click()
    tab.page.wait_for_function(f"{NODES}.some((n) => n.type === 'TrainMotionAdapter')")
    shipped = json.loads((REPOSITORY / "workflows" / f"{OPENED}.json").read_text("utf-8"))
    opened = tab.page.evaluate(f"{NODES}.map((n) => n.type)")
    assert sorted(opened) == sorted(node["type"] for node in shipped["nodes"])
    assert tab.panel.is_visible()
    assert tab.faults == []
