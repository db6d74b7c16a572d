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
WIDTH = "(image) => image.naturalWidth"


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
    pictures = {}
    for card in cards.all():
        card.scroll_into_view_if_needed()  # only then its picture is there
        picture = card.locator("img").first
        tab.until(lambda picture=picture: picture.evaluate(WIDTH) > 0, seconds=30)
        name = str(card.get_attribute("data-testid")).removeprefix("template-workflow-")
        pictures[name] = picture.evaluate(WIDTH)
    assert pictures == dict.fromkeys(NAMES, 512)
    dialog.locator(f'[data-testid="template-workflow-{OPENED}"]').click()
    tab.page.wait_for_function(f"{NODES}.some((n) => n.type === 'TrainMotionAdapter')")
    shipped = json.loads((REPOSITORY / "workflows" / f"{OPENED}.json").read_text("utf-8"))
    opened = tab.page.evaluate(f"{NODES}.map((n) => n.type)")
    assert sorted(opened) == sorted(node["type"] for node in shipped["nodes"])
    assert tab.panel.is_visible()
    assert tab.faults == []
