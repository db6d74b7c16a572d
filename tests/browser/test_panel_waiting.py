"""The panel before there is a run, while one is cancelled, and without its server or folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from motion_adapters.nodes.runs.registry.folder import RunOrigin

from motion_core.events import Started

from .run_folders import write_run
from .site import Site, lines, site_of
from .test_panel_live import step_done

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

ROWS = "#tab [role=option]"


@pytest.fixture
def site(tmp_path: Path, browser: Browser) -> Iterator[Site]:
    with site_of(tmp_path, browser) as site:
        yield site


def entry(**change: Any) -> dict[str, Any]:
    """A prompt that is to train the page's node, which is called new."""
    told = {"prompt_id": "p", "client_id": "", "workflow_id": "page", "nodes": ["new"], "runs": []}
    return {**told, "is_running": False, **change}


def ask(page: Page) -> None:
    page.evaluate("window.page.waiting.refresh()")


def said(page: Page) -> str:
    return page.locator("#node .before .empty").inner_text()


def test_from_the_press_on_it_says_what_happens(site: Site, tmp_path: Path) -> None:
    page = site.open("run=new")
    assert said(page).startswith("No run yet")
    assert not page.locator("#node .leave").is_visible()
    site.queue.waiting, site.queue.libraries = [entry()], False
    page.evaluate("window.page.waiting.pressed()")
    page.get_by_text("Queued").wait_for()
    site.queue.waiting = [entry(is_running=True)]
    ask(page)
    page.get_by_text("loading libraries").wait_for()
    site.queue.libraries = True
    ask(page)
    page.get_by_text("preparing base and clips").wait_for()
    origin = RunOrigin(node_id="new", prompt_id="p", title="new", workflow_id="page")
    with site.registry.watch(tmp_path / "new", origin) as run:
        run.begins("encoding")
        page.evaluate(NOTE_SAID)
        page.evaluate("window.page.store.refresh()")
        page.get_by_text("encoding the clips").wait_for()
        assert not page.locator("#node .before").is_visible()
        before = page.evaluate("window.said")
        assert all("preparing base" in text for text in before), before


def test_cancel_by_prompt(site: Site, tmp_path: Path) -> None:
    """Of what waits, and of a run that the page has only read of; nothing else is touched."""
    page = site.open("run=new")
    site.queue.waiting = [entry()]
    ask(page)
    page.locator("#node .leave").click()
    page.get_by_text("Cancelling").wait_for()
    wanted = [("/queue", {"delete": ["p"]}), ("/interrupt", {"prompt_id": "p"})]
    page.wait_for_timeout(500)
    assert site.queue.asked == wanted
    site.queue.waiting, site.queue.asked = [], []
    ask(page)
    page.get_by_text("No run yet").wait_for()
    origin = RunOrigin(node_id="new", prompt_id="q", title="new", workflow_id="page")
    with site.registry.watch(tmp_path / "new", origin) as run:
        run(Started(step=0, total=50, resumed=False, settings={}))
        run(step_done(1))
        again = site.open("run=new")
        again.locator("#node .cancel").click()
        state = again.locator("#node .state")
        again.wait_for_function("document.querySelector('#node .state').innerText === 'Cancelling'")
        again.evaluate("window.page.store.refresh()")
        again.wait_for_timeout(500)
        assert state.inner_text() == "Cancelling"
        buttons = again.locator("#node .buttons button").all()
        assert buttons and all(button.is_disabled() for button in buttons)
        assert site.queue.asked[-1] == ("/interrupt", {"prompt_id": "q"})
    again.evaluate("window.page.store.refresh()")
    again.wait_for_function("document.querySelector('#node .state').innerText === 'Finished'")


def test_a_dead_server_freezes_the_clock_and_greys_the_buttons(site: Site, tmp_path: Path) -> None:
    origin = RunOrigin(node_id="new", prompt_id="p", title="new", workflow_id="page")
    with site.registry.watch(tmp_path / "new", origin) as run:
        run(Started(step=0, total=50, resumed=False, settings={}))
        run(step_done(1))
        page = site.open("run=new")
        page.locator(ROWS).click()
        page.locator("#tab .detail .state").wait_for()
        buttons = page.locator("#node .buttons button:visible")
        assert buttons.count() == 5 and all(one.is_enabled() for one in buttons.all())
        page.route("**/motion_adapters/**", lambda route: route.abort())
        page.evaluate("window.page.store.refresh()")
        page.locator("#node .error").wait_for()
        times = page.locator("#node .times").inner_text()
        page.wait_for_timeout(2500)
        assert page.locator("#node .times").inner_text() == times
        everywhere = page.locator("#node .buttons button:visible, #tab .detail button:visible")
        assert everywhere.count() > 6
        named = {one.inner_text(): one.is_disabled() for one in everywhere.all()}
        assert {name for name, disabled in named.items() if not disabled} <= {"Hold"}
        page.unroute("**/motion_adapters/**")
        page.evaluate("window.page.store.refresh()")
        page.locator("#node .error").wait_for(state="hidden")
        page.wait_for_function(
            "(before) => document.querySelector('#node .times').innerText !== before", arg=times
        )
        assert all(one.is_enabled() for one in buttons.all())


def test_a_run_whose_folder_is_deleted_keeps_its_curve(site: Site, tmp_path: Path) -> None:
    folder = write_run(tmp_path, "zigzag", steps=300)
    page = site.open("run=zigzag")
    curve = page.locator("#node .average").first
    points = (curve.get_attribute("d") or "").count("L")
    shutil.rmtree(folder)
    page.evaluate("window.page.store.refresh()")
    page.get_by_text("folder was deleted").first.wait_for()
    assert "300 / 300" in lines(page)
    assert (curve.get_attribute("d") or "").count("L") == points > 200
    assert "folder deleted" in page.locator(ROWS).inner_text()
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator(ROWS).click()
    page.locator("#tab .about").get_by_role("button", name="Delete").click()
    page.locator(ROWS).wait_for(state="detached")


@pytest.fixture
def many(site: Site, tmp_path: Path) -> Page:
    """Twelve runs: motion four times, which began in two minutes, and others."""
    for number in range(4):
        write_run(tmp_path, f"motion-{number}", steps=10, seed=60 * (number // 2), title="motion")
    for number in range(8):
        write_run(tmp_path, f"spin-{number}", steps=10, total=12, state="failed", seed=-90 - number)
    page = site.open("")
    page.evaluate("document.querySelector('#tab').style.height = '700px'")
    return page


def test_the_detail_opens_below_what_is_clicked(many: Page) -> None:
    row = many.locator(ROWS).nth(5)
    row.click()
    detail = many.locator("#tab .detail .average").first
    detail.wait_for(state="attached")
    above, below = row.bounding_box(), many.locator("#tab .detail").bounding_box()
    assert above and below and 0 <= below["y"] - above["y"] - above["height"] < 20
    row.click()
    many.locator("#tab .detail").wait_for(state="detached")
    last = many.locator(ROWS).last
    last.click()
    detail.wait_for(state="attached")
    seen = many.locator("#tab").bounding_box()
    below = many.locator("#tab .detail").bounding_box()
    assert seen and below
    assert below["y"] + 200 < seen["y"] + seen["height"]


def test_runs_are_told_apart_searched_and_filtered(many: Page) -> None:
    names = many.locator("#tab [role=option] .title").all_inner_texts()
    assert len(set(names)) == 12
    assert sum(name.startswith("motion · ") for name in names) == 4
    many.get_by_label("Search by name or file").fill("spin 3")
    assert many.locator(ROWS).count() == 1
    many.get_by_label("Search by name or file").fill("nothing")
    many.get_by_text("No run matches.").wait_for()
    many.get_by_label("Search by name or file").fill("")
    many.get_by_label("Show", exact=True).select_option("unfinished")
    assert many.locator(ROWS).count() == 8


def test_several_are_deleted_at_once(many: Page, tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    many.on("dialog", answer)
    for number in (1, 3):
        many.locator(f"[data-run=spin-{number}] input").check()
    many.locator("[data-run=spin-5]").focus()
    many.keyboard.press("Space")
    many.get_by_text("3 selected").wait_for()
    assert many.locator("#tab .detail").count() == 0
    many.get_by_role("button", name="Delete selected").click()
    many.wait_for_function("document.querySelectorAll('#tab [role=option]').length === 9")
    assert len(asked) == 1 and asked[0].startswith("Delete 3 runs")
    left = sorted(path.name for path in tmp_path.glob("spin-*"))
    assert left == [f"spin-{number}" for number in (0, 2, 4, 6, 7)]
    assert not many.get_by_text("selected", exact=False).first.is_visible()


# What the panel says, at every frame.
NOTE_SAID = """() => {
  window.said = []
  const look = () => {
    const shown = document.querySelector('#node .before')
    if (shown.offsetParent) window.said.push(shown.querySelector('.empty').textContent)
    requestAnimationFrame(look)
  }
  look()
}"""
