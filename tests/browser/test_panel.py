"""The panel and the Runs tab in a real browser, on real run folders: what is shown at which width,
with which keys, in which language.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from motion_core.video.writing import write_video

from .looks import low_contrasts, sticking_out
from .run_folders import write_run
from .site import FRAME, PANEL, Site, lines, marks_drawn, site_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog

TAB = "#tab .motion-adapters-runs"
ROWS = "#tab [role=option]"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    write_run(root, "zigzag", steps=300, samples=(100, 200, 300))
    write_run(root, "older", steps=200, seed=-100)
    write_run(root, "killed", steps=120, total=300, state="running", seed=-200)
    return root


@pytest.fixture
def site(root: Path, browser: Browser) -> Iterator[Site]:
    with site_of(root, browser) as site:
        yield site


@pytest.fixture
def long_name(root: Path) -> Iterator[str]:
    folder = write_run(root, "n" * 64, steps=30, seed=-50)
    yield folder.name
    shutil.rmtree(folder)


def test_a_finished_run_is_shown_with_all_that_it_has(site: Site) -> None:
    page = site.open("run=zigzag")
    text = lines(page)
    for part in ("Finished", "300 / 300", "1:02:05 elapsed", "spatial", "temporal", "24.0 GiB"):
        assert part in text
    assert "Saved as zigzag.safetensors" in text
    panel = page.locator("#node")
    assert panel.locator(".average").count() == panel.locator(".raw").count() == 2
    assert marks_drawn(page) == {"checkpoint": 2, "resumed": 1}
    assert panel.get_by_role("button", name="Add apply workflow").is_visible()
    assert not panel.get_by_role("button", name="Stop & keep").is_visible()


def test_a_run_that_a_restart_cut_short_offers_to_go_on(site: Site) -> None:
    page = site.open("run=killed")
    assert "Interrupted" in lines(page)
    page.locator("#node").get_by_role("button", name="Resume").click()
    page.wait_for_function("window.page.done.queued.length")
    (prompt,) = page.evaluate("window.page.done.queued")
    assert prompt["output"]["killed"]["inputs"] == {"resume": "continue", "resume_run": "killed"}


def test_samples_loop_in_step_and_a_scrubber_goes_through_all(site: Site) -> None:
    page = site.open("run=zigzag")
    panel = page.locator("#node")
    assert "Sample after step 300" in panel.inner_text()
    page.wait_for_function(
        "[...document.querySelectorAll('#node video')].every((v) => v.duration > 0)"
    )
    scrubber = panel.get_by_role("slider", name="All samples, by step")
    scrubber.press("Home")
    assert "Sample after step 100" in panel.inner_text()
    scrubber.press("ArrowRight")
    assert "Sample after step 200" in panel.inner_text()
    page.wait_for_timeout(1500)
    apart = page.evaluate(
        """() => {
          const [a, b] = [...document.querySelectorAll('#node video')]
          const gap = Math.abs(a.currentTime - b.currentTime)
          return Math.min(gap, a.duration - gap)
        }"""
    )
    assert apart < 0.25


def test_one_sample_has_no_scrubber(site: Site, root: Path) -> None:
    folder = write_run(root, "once", steps=20, samples=(20,), seed=-50)
    player = site.open("run=once").locator("#node .player")
    assert player.get_by_role("button", name="Hold").is_visible()
    assert not player.locator("input").is_visible()
    shutil.rmtree(folder)


def test_the_chart_by_pointer_and_by_keys(site: Site) -> None:
    page = site.open("run=zigzag")
    chart = page.locator("#node .chart")
    chart.hover()
    tip = page.locator("#node .tip")
    assert "temporal" in tip.inner_text() and "average" in tip.inner_text()
    page.mouse.move(0, 0)
    assert not tip.is_visible()
    chart.focus()
    page.keyboard.press("End")
    assert chart.get_attribute("aria-valuenow") == "300"
    page.keyboard.press("ArrowLeft")
    assert chart.get_attribute("aria-valuenow") == "299"
    assert "Step 299" in (chart.get_attribute("aria-valuetext") or "")
    page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_marks_are_read_where_the_cursor_is(site: Site) -> None:
    """Of 300 steps: checkpoints after 150 and 300, resumed after 150."""
    page = site.open("run=zigzag")
    chart = page.locator("#node .chart")
    chart.focus()
    said = chart.get_attribute("aria-valuetext") or ""
    assert "Step 300" in said and "Checkpoint after step 300" in said
    page.keyboard.press("Home")
    assert "Checkpoint" not in (chart.get_attribute("aria-valuetext") or "")
    box = chart.bounding_box()
    assert box is not None
    middle = 46 + (box["width"] - 46 - 10) * (150 - 1) / (300 - 1)  # as the chart's margins are
    page.mouse.move(box["x"] + middle, box["y"] + 20)
    tip = page.locator("#node .tip").inner_text()
    assert "Checkpoint after step 150" in tip and "Resumed after step 150" in tip


def test_marks_are_drawn_again_only_where_they_or_the_axes_change(site: Site) -> None:
    page = site.open("run=killed")
    panel = page.locator("#node")
    panel.get_by_role("checkbox", name="Fixed axes").check()
    page.evaluate("window.mark = document.querySelector('#node .checkpoint')")
    page.evaluate(FRAME)
    same = "window.mark === document.querySelector('#node .checkpoint')"
    page.evaluate("nextFrame('killed')")
    assert "121 / 300" in panel.inner_text()
    assert page.evaluate(same)
    panel.get_by_role("checkbox", name="Fixed axes").uncheck()
    assert not page.evaluate(same)


def test_a_run_that_is_over_says_nothing_of_later_steps(site: Site) -> None:
    """The other run ended after step 200."""
    page = site.open("run=zigzag")
    panel = page.locator("#node")
    panel.get_by_label("Overlay another run").select_option("older")
    panel.locator("path.other").first.wait_for(state="attached")
    panel.locator(".chart").focus()
    page.keyboard.press("End")
    assert "Step 300" in panel.locator(".tip").inner_text()
    assert "≈" not in panel.locator(".tip").inner_text()
    for _ in range(4):
        page.keyboard.press("PageDown")
    assert "Step 180" in panel.locator(".tip").inner_text()
    assert panel.locator(".tip").inner_text().count("≈") == 2


def test_log_and_fixed_axes_and_smoothing_change_the_picture(site: Site) -> None:
    page = site.open("run=killed")
    panel = page.locator("#node")

    def drawn() -> str:
        return panel.locator(".average").first.get_attribute("d") or ""

    seen = {drawn()}
    for name in ("Log", "Fixed axes"):
        panel.get_by_role("checkbox", name=name).check()
        seen.add(drawn())
    panel.get_by_role("slider", name="Smoothing").press("Home")
    seen.add(drawn())
    assert len(seen) == 4
    assert "300" in (
        panel.locator(".axes").text_content() or ""
    )  # all steps of the run, not the 120 done


def test_an_earlier_run_is_laid_over(site: Site) -> None:
    page = site.open("run=zigzag")
    panel = page.locator("#node")
    panel.get_by_label("Overlay another run").select_option("older")
    panel.locator("path.other").first.wait_for(state="attached")
    assert panel.locator("path.other").count() == 2
    assert "dashed: older" in panel.locator(".legend").inner_text()


@pytest.mark.parametrize("width", [320, 420, 760, 1200])
def test_nothing_sticks_out_at_any_width(site: Site, long_name: str, width: int) -> None:
    """With a name as long as names can be."""
    page = site.open(f"run={long_name}&width={width}", width=1600)
    page.locator("#node select").select_option("zigzag")
    page.locator("#node path.other").first.wait_for(state="attached")
    assert sticking_out(page, PANEL) == []
    other = site.open(f"run=zigzag&width={width}", width=1600)
    other.locator("#node select").select_option(long_name)
    other.locator("#node path.other").first.wait_for(state="attached")
    assert sticking_out(other, PANEL) == []


@pytest.mark.parametrize("width", [260, 340, 600])
def test_nothing_sticks_out_of_the_runs_tab(site: Site, long_name: str, width: int) -> None:
    page = site.open("")
    page.evaluate(f"document.querySelector('#tab').style.width = '{width}px'")
    page.locator("#tab").get_by_role("option", name=long_name).click()
    page.locator("#tab .detail .average").first.wait_for(state="attached")
    page.locator("#tab summary").click()
    assert sticking_out(page, TAB) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_texts_can_be_read_in_both_themes(site: Site, theme: str) -> None:
    page = site.open(f"run=zigzag&theme={theme}")
    page.locator(ROWS).first.click()
    page.locator("#tab .detail .average").first.wait_for(state="attached")
    page.locator("#tab summary").click()
    assert low_contrasts(page, PANEL) == []
    assert low_contrasts(page, TAB) == []


def test_every_control_has_a_name_and_a_place_in_the_order(site: Site) -> None:
    page = site.open("run=zigzag")
    names: list[str] = []
    page.locator("#node button.apply").focus()
    for _ in range(12):
        names.append(
            page.evaluate(
                """() => {
                  const at = document.activeElement
                  const label = at.closest('label')?.textContent ?? ''
                  return at.closest('#node') ? at.getAttribute('aria-label') || at.textContent || label : ''
                }"""  # noqa: E501
            )
        )
        page.keyboard.press("Tab")
    inside = names[: names.index("")] if "" in names else names
    assert len(inside) >= 8
    assert all(name.strip() for name in inside)


def test_the_page_does_not_see_the_panels_keys(site: Site) -> None:
    """Delete in the panel must not remove the node."""
    page = site.open("run=zigzag")
    page.evaluate("document.addEventListener('keydown', (e) => (window.heard = e.key))")
    page.locator("#node .chart").focus()
    page.keyboard.press("Delete")
    assert page.evaluate("window.heard ?? null") is None
    page.keyboard.press("Control+Enter")
    assert page.evaluate("window.heard") == "Enter"


def test_chinese(site: Site) -> None:
    page = site.open("run=zigzag&lang=zh")
    assert "已完成" in lines(page) and "已保存为 zigzag.safetensors" in lines(page)


def test_the_runs_tab_lists_compares_and_deletes(site: Site, root: Path) -> None:
    write_run(root, "spare", steps=20, seed=50)
    page = site.open("")
    tab = page.locator("#tab")
    rows = page.locator(ROWS)
    assert rows.first.inner_text().startswith("spare")
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    tab.locator(".detail .average").first.wait_for(state="attached")
    assert "300 / 300" in tab.locator(".detail").inner_text()
    tab.get_by_label("Overlay another run").select_option("older")
    tab.locator("path.other").first.wait_for(state="attached")
    assert "dashed: older" in tab.locator(".legend").inner_text()
    rows.first.click()
    page.wait_for_function("document.querySelector('#tab .steps').textContent === '20 / 20'")
    said: list[str] = []

    def answer(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.accept() if len(said) > 1 else dialog.dismiss()

    page.on("dialog", answer)
    tab.get_by_role("button", name="Delete").click()
    page.wait_for_timeout(500)
    assert (root / "spare").exists() and "spare" in said[0]
    tab.get_by_role("button", name="Delete").click()
    page.wait_for_function("document.querySelectorAll('#tab [role=option]').length === 3")
    assert not (root / "spare").exists()
    assert rows.first.get_attribute("tabindex") == "0"


def test_only_the_chosen_row_is_in_the_tab_order_or_else_the_first(site: Site) -> None:
    page = site.open("")
    in_order = "[...document.querySelectorAll('#tab [role=option]')].map((row) => row.tabIndex)"
    assert page.evaluate(in_order) == [0, -1, -1]
    page.locator(ROWS).nth(2).click()
    page.wait_for_function(f"{in_order}.join() === '-1,-1,0'")


def test_settings_have_names(site: Site) -> None:
    page = site.open("")
    page.locator(ROWS).first.click()
    page.locator("#tab summary").click()
    assert "Method · name" in page.locator("#tab .settings").inner_text()


def test_markup_in_names_stays_text(site: Site, root: Path) -> None:
    folder = write_run(root, "markup", steps=5, seed=60)
    record = json.loads((folder / "run.json").read_text())
    record |= {"title": "<img src=x onerror=alert(1)>", "message": "<b>bold</b>"}
    (folder / "run.json").write_text(json.dumps(record))
    page = site.open("run=markup")
    assert "<b>bold</b>" in lines(page)
    assert "<img src=x" in page.locator("#tab").inner_text()
    site.registry.delete("markup")


def test_a_node_that_is_gone_keeps_no_video(site: Site) -> None:
    """And one that is added gets its panel."""
    page = site.open("run=zigzag")
    page.evaluate(
        """() => {
          window.videos = [...document.querySelectorAll('#node video')]
          window.gone = window.page.root.nodes.pop()
          window.page.views.redraw()
        }"""
    )
    page.wait_for_function("window.videos.every((video) => !video.hasAttribute('src'))")
    assert page.locator(PANEL).count() == 0
    page.evaluate("(window.page.root.nodes.push(window.gone), window.page.views.redraw())")
    page.locator("#node .average").first.wait_for(state="attached")
    page.evaluate("(window.page.root.nodes[0].id = 'another', window.page.views.redraw())")
    page.locator("#node .empty").wait_for()
    assert page.locator("#node video[src]").count() == 0


PLAYING = "[...document.querySelectorAll('#node video')].every((video) => !video.paused)"


def test_videos_play_on_when_the_panel_is_there_again(site: Site) -> None:
    """As Vue nodes take it off the page when they are collapsed."""
    page = site.open("run=zigzag")
    page.wait_for_function(PLAYING)
    page.evaluate("(window.panel = document.querySelector('#node').firstChild).remove()")
    page.wait_for_timeout(300)
    assert page.evaluate("window.panel.querySelector('video').paused")
    page.evaluate("document.querySelector('#node').append(window.panel)")
    page.wait_for_function(PLAYING)
    page.locator("#node").get_by_role("button", name="Hold").click()
    page.evaluate("window.panel.remove()")
    page.wait_for_timeout(300)
    page.evaluate("document.querySelector('#node').append(window.panel)")
    page.wait_for_timeout(300)
    assert page.evaluate("[...document.querySelectorAll('#node video')].every((v) => v.paused)")


def test_who_wants_less_motion_gets_still_videos(site: Site) -> None:
    page = site.open("run=zigzag", reduced_motion="reduce")
    page.wait_for_function("document.querySelector('#node .sample video').readyState >= 2")
    hold = page.locator("#node").get_by_role("button", name="Hold")
    assert hold.get_attribute("aria-pressed") == "true"
    videos = "[...document.querySelectorAll('#node video')]"
    still = f"{videos}.every((video) => video.paused && video.currentTime === 0)"
    page.wait_for_timeout(500)
    assert page.evaluate(still)
    hold.click()
    page.wait_for_function(PLAYING)


def test_a_reference_of_another_length_is_followed_as_fast_as_browsers_play(
    site: Site, root: Path
) -> None:
    """1 s beside 0.04 s asks for 25 times the speed: browsers refuse more than 16."""
    folder = write_run(root, "fast", steps=5, samples=(5,), seed=-80)
    write_video(folder / "samples" / "step-5.mp4", torch.zeros(2, 3, 64, 64), 50.0)
    page = site.open("run=fast")
    page.wait_for_function("document.querySelector('#node .reference video').playbackRate === 16")
    seeks = page.evaluate(
        """() => new Promise((done) => {
          let count = 0
          const [video] = document.querySelectorAll('#node .reference video')
          document.querySelector('#node .still').click()
          setTimeout(() => video.addEventListener('seeking', () => (count += 1)), 500)
          setTimeout(() => done(count), 1500)
        })"""
    )
    assert seeks <= 1
    site.registry.delete("fast")
