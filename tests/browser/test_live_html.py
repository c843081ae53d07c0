"""The base of every component in a real page: HTML that is morphed, actions that come back, charts that take data."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import Front, Sheet, open_sheet, wait_until
from workbench.ui.static import load_runtime_key

pytestmark = pytest.mark.browser

CELL = (Path(__file__).parent / "live_page.py").read_text(encoding="utf-8")
# As the cell has them.
DAY, START, ROWS = 86_400_000, 15_000 * 86_400_000, 240
CHART = """async key => { const {live} = await window[key].ready;
  const {doc} = [...live].find(c => c.host.isConnected && c.host.dataset.name === 'main');
  const {x_range: {start, end}} = doc.get_model_by_name('equity'), {data} = doc.get_model_by_name('line');
  const lit = doc.get_model_by_name('lit_equity');
  return {start, end, rows: data.ts.length, last: data.y[data.y.length - 1],
    lit: lit.visible ? [lit.left, lit.right] : null} }"""


@pytest.fixture(scope="module")
def sheet(front: Front, browser: Any) -> Iterator[Sheet]:
    """Return the page, with its chart drawn; the tests share it."""
    with open_sheet(browser, front, front.write("everything", CELL), height=1000) as sheet:
        sheet.page.locator(".wb-chart[data-ready]").wait_for()
        yield sheet


def _heard(sheet: Sheet) -> list[tuple[str, str, Any]]:
    return [ast.literal_eval(text) for text in sheet.page.locator("#heard li").all_text_contents()]


def _wait_for(sheet: Sheet, action: tuple[str, str, Any]) -> None:
    wait_until(lambda: action in _heard(sheet), f"{action}; heard {_heard(sheet)}")


def _chart(sheet: Sheet) -> dict[str, Any]:
    state: dict[str, Any] = sheet.page.evaluate(CHART, load_runtime_key())
    return state


def test_page_shows_html_in_our_style(sheet: Sheet) -> None:
    look = sheet.page.locator(".wb-card").first.evaluate(
        "e => { const s = getComputedStyle(e); return [s.borderTopWidth, s.borderRadius, s.fontSize] }"
    )

    assert look == ["1px", "6px", "13px"]
    assert ("shown", "main", None) in _heard(sheet) or _chart(sheet)["rows"]


def test_fields_and_buttons_come_back_as_actions(sheet: Sheet, tmp_path: Path) -> None:
    page = sheet.page
    page.locator("#go").click()
    _wait_for(sheet, ("go", "k1", None))
    page.locator("#go").press("Enter")
    wait_until(lambda: _heard(sheet).count(("go", "k1", None)) >= 2, "Enter on a button")
    page.locator("#name").press_sequentially("fast <b>")
    _wait_for(sheet, ("set", "name", "fast <b>"))
    page.locator("#plain").fill("10")
    page.locator("#plain").press("Tab")
    _wait_for(sheet, ("set", "plain", "10"))
    page.locator("#kind").select_option("MACD")
    _wait_for(sheet, ("set", "kind", "MACD"))
    page.locator("#short").check()
    _wait_for(sheet, ("set", "short", True))
    file = tmp_path / "run.json"
    file.write_text('{"a": 1}')
    page.locator("#file").set_input_files(file)
    _wait_for(sheet, ("load", "file", '{"a": 1}'))


def test_row_by_keyboard_is_chosen_once_and_by_pointer_hovered(sheet: Sheet) -> None:
    page = sheet.page
    page.locator("#wb-row-0").focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("() => document.activeElement.id") == "wb-row-1"
    page.keyboard.press("Enter")
    _wait_for(sheet, ("select", "row1", None))
    assert _heard(sheet).count(("select", "row1", None)) == 1
    page.locator("#wb-row-2").hover()
    _wait_for(sheet, ("over", "row2", None))
    page.locator("#heard").hover()
    _wait_for(sheet, ("over", "", None))


def test_tabs_by_keyboard_move_the_focus_and_open_once(sheet: Sheet) -> None:
    page = sheet.page
    page.locator("#tab-a").focus()
    for key, expected in (("ArrowRight", "tab-b"), ("ArrowRight", "tab-a"), ("ArrowLeft", "tab-b")):
        page.keyboard.press(key)
        assert page.evaluate("() => document.activeElement.id") == expected
    page.keyboard.press("Enter")
    _wait_for(sheet, ("tab", "b", None))
    assert _heard(sheet).count(("tab", "b", None)) == 1


def test_keys_in_a_field_are_no_commands_of_the_notebook(sheet: Sheet) -> None:
    if sheet.front.name != "lab":
        pytest.skip("Voila has no commands")
    page = sheet.page
    count = "() => window.jupyterapp.shell.currentWidget.content.widgets.length"
    before = page.evaluate(count)
    kind = page.locator("#kind")
    kind.focus()
    chosen = kind.input_value()
    page.keyboard.press("b")  # in the notebook's command mode: another cell
    page.keyboard.press("ArrowDown" if chosen != "MACD" else "ArrowUp")
    assert kind.input_value() != chosen
    assert page.evaluate(count) == before
    assert page.evaluate("() => document.activeElement.id") == "kind"
    kind.select_option(chosen)


def test_what_the_reader_does_survives_renders_at_ten_hertz(sheet: Sheet) -> None:
    page = sheet.page
    page.locator("#more summary").click()
    page.locator("#tick").click()
    name = page.locator("#name")
    name.fill("abcdef")
    name.press("ArrowLeft")
    name.press("ArrowLeft")
    page.wait_for_function("() => Number(document.querySelector('#count').textContent) >= 5")
    start = int(page.locator("#count").text_content() or 0)
    name.press_sequentially("XYZ", delay=120)
    page.wait_for_function(f"() => Number(document.querySelector('#count').textContent) >= {start + 8}")

    assert name.input_value() == "abcdXYZef"
    assert page.evaluate("() => [document.activeElement.id, document.activeElement.selectionStart]") == [
        "name",
        7,
    ]
    assert page.locator("#more").get_attribute("open") is not None
    assert page.locator("#kind").input_value() == "MACD" or page.locator("#kind").input_value() == "EMA"
    assert page.locator(".wb-chart[data-ready] .wb-plot").count() == 1
    page.locator("#tick").click()


def test_what_has_the_focus_shows_what_is_new(sheet: Sheet) -> None:
    page = sheet.page
    page.locator("#tick").click()
    page.locator("#wb-row-0").focus()
    before = int(page.locator("#count").text_content() or 0)
    page.wait_for_function(
        f"() => Number(document.querySelector('#wb-row-0 td.n').textContent) >= {before + 3}"
    )

    assert page.evaluate("() => document.activeElement.id") == "wb-row-0"
    page.locator("#tick").click()


def test_element_that_is_gone_from_the_html_is_gone_from_the_page(sheet: Sheet) -> None:
    assert sheet.page.locator("#note").count() == 1
    sheet.page.locator("#hide").click()
    sheet.page.locator("#note").wait_for(state="detached")


def test_dangerous_button_acts_on_its_second_click_only(sheet: Sheet) -> None:
    button = sheet.page.locator("#danger")
    button.click()
    assert button.text_content() == "Really?"
    sheet.page.locator("#go").click()
    _wait_for(sheet, ("go", "k1", None))
    assert button.text_content() == "Really?"
    assert ("danger", "", None) not in _heard(sheet)
    sheet.page.keyboard.press("Escape")
    assert button.text_content() == "Delete"
    button.click()
    button.click()
    _wait_for(sheet, ("danger", "", None))
    assert button.text_content() == "Delete"


def test_action_that_fails_says_so_until_one_works(sheet: Sheet) -> None:
    problem = sheet.page.locator(".wb-problem")
    assert not problem.is_visible()
    sheet.page.locator("#fail").click()
    problem.wait_for()
    assert problem.text_content() == "this went <wrong>"
    sheet.page.locator("#go").click()
    problem.wait_for(state="hidden")


def test_python_saves_a_file_copies_and_moves_the_focus(sheet: Sheet) -> None:
    page = sheet.page
    with page.expect_download() as download:
        page.locator("#save").click()
    assert download.value.suggested_filename == "facts.csv"
    assert Path(download.value.path()).read_bytes() == b"a,b\n1,2\n"
    page.locator("#copy").click()
    assert page.evaluate("() => navigator.clipboard.readText()") == "0123-abc"
    page.locator("#find").click()
    page.wait_for_function("() => document.activeElement.id === 'plain'")


def test_chart_takes_data_ranges_and_spans(sheet: Sheet) -> None:
    page = sheet.page
    page.locator("#append").click()
    wait_until(lambda: _chart(sheet)["rows"] == ROWS + 1, "an appended row")
    assert _chart(sheet)["last"] == 9.0
    assert _chart(sheet)["end"] == START + ROWS * DAY
    page.locator("#set").click()
    wait_until(lambda: _chart(sheet)["rows"] == 100, "other data")
    page.locator("#range").click()
    wait_until(lambda: _chart(sheet)["start"] == START + 10 * DAY, "a range")
    assert _chart(sheet)["end"] == START + 20 * DAY
    page.locator("#light").click()
    wait_until(lambda: _chart(sheet)["lit"] == [START + 10 * DAY, START + 20 * DAY], "a span")
    page.locator("#wb-row-2").hover()
    wait_until(lambda: _chart(sheet)["lit"] == [START + 60 * DAY, START + 90 * DAY], "the row's span")


def test_wheel_zooms_the_chart_and_asks_for_what_is_visible(sheet: Sheet) -> None:
    page = sheet.page
    chart = page.locator(".wb-chart")
    chart.scroll_into_view_if_needed()
    chart.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(400)  # a page that has just scrolled does not zoom yet
    box = chart.bounding_box()
    assert box is not None
    before = _chart(sheet)
    page.mouse.move(box["x"] + 300, box["y"] + 100)
    page.mouse.move(box["x"] + 320, box["y"] + 110)
    page.mouse.wheel(0, -300)
    wait_until(
        lambda: _chart(sheet)["end"] - _chart(sheet)["start"] < before["end"] - before["start"], "a zoom"
    )

    def is_told() -> bool:
        now, views = (
            _chart(sheet),
            [value for name, key, value in _heard(sheet) if (name, key) == ("view", "main")],
        )
        return bool(views) and views[-1] == pytest.approx([now["start"], now["end"]])

    wait_until(is_told, "the range that is visible now")
    page.mouse.click(box["x"] + 320, box["y"] + 110)
    wait_until(
        lambda: any(name == "pick" and key == "main" for name, key, _ in _heard(sheet)),
        "a click in the chart",
    )


def test_page_that_is_loaded_again_shows_and_works(front: Front, browser: Any) -> None:
    with open_sheet(browser, front, front.write("again", CELL), height=1000) as sheet:
        sheet.page.locator(".wb-chart[data-ready]").wait_for()
        sheet.page.locator("#hide").click()
        sheet.page.locator("#note").wait_for(state="detached")
        sheet.show_again()
        sheet.page.locator(".wb-chart[data-ready]").wait_for()
        assert sheet.page.locator("#note").count() == (0 if front.name == "lab" else 1)
        sheet.page.locator("#go").click()
        _wait_for(sheet, ("go", "k1", None))


HASTY = """
from ipywidgets import Box
from workbench.ui.live_html import LiveHtml

class Hasty(LiveHtml):
    def _hear(self, widget, message, buffers):
        box.children = (fragment.widget,)
        self.close()

fragment = everything.fragment
box = Box([Hasty(CHART)])
box
"""


def test_chart_is_drawn_though_who_asked_for_the_runtime_is_gone(front: Front, browser: Any) -> None:
    notebook = front.write("hasty", CELL.rsplit("everything  #", 1)[0] + HASTY)
    with open_sheet(browser, front, notebook) as sheet:
        sheet.page.locator("#go").wait_for()
        sheet.page.locator(".wb-chart[data-ready]").wait_for(timeout=10_000)
