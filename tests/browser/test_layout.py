"""A slot in a real page: what it shows is brought into sight, and to the keyboard."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.pages import Front, open_sheet

pytestmark = pytest.mark.browser

CELL = """
from workbench.ui.component import Component, Fragment
from workbench.ui.layout import Columns, Slot

class Piece(Component):
    def __init__(self, html, act=None):
        self.html, self.act = html, act
    def build_html(self):
        return self.html
    def build_widget(self):
        return Fragment(self.build_html, on_action=self.act).widget

def card(name, height, more=''):
    return f'<div class="wb-card" id="{name}" style="height:{height}px">{name} {more}</div>'

slot = Slot('Nothing is open.')
shown = []
def open_next(action):
    shown.append(action)
    first = '<button class="wb-btn" id="first" data-action="x">First</button>'
    slot.show(Piece(card(f'result{len(shown)}', 900, first)))
menu = ('<details class="wb-menu" id="menu"><summary>Export</summary><div class="wb-menu-body">'
        '<button class="wb-btn" id="save" data-action="x">Save</button></div></details>')
button = '<button class="wb-btn" id="open" data-action="open">Open</button>' + menu
Columns([Piece(card('side', 100))], [Piece(card('list', 1500, button), open_next), slot])
"""
TOP = "e => Math.round(e.getBoundingClientRect().top)"


def test_what_a_slot_shows_comes_into_sight_and_takes_the_keyboard(voila: Front, browser: Any) -> None:
    with open_sheet(browser, voila, voila.write("slot", CELL)) as sheet:
        page = sheet.page
        page.locator("#open").wait_for()
        page.locator("#open").click()
        page.locator("#result1").wait_for()
        page.wait_for_function("() => document.querySelector('#result1').getBoundingClientRect().top < 450")
        assert page.locator("#result1").evaluate(TOP) >= 0
        assert page.evaluate("() => document.activeElement.id") == "open"  # by pointer the focus stays

        page.locator("#open").focus()
        page.keyboard.press("Shift")  # the page knows now that a keyboard is in use
        page.keyboard.press("Enter")
        page.wait_for_function(
            "() => { const r = document.querySelector('#result2'); return r && r.getBoundingClientRect().top < 450"
            " && r.getBoundingClientRect().top >= 0 }"
        )
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.id") == "first"


def test_menu_closes_by_escape_and_when_the_reader_goes_on_elsewhere(voila: Front, browser: Any) -> None:
    with open_sheet(browser, voila, voila.write("menu", CELL)) as sheet:
        page = sheet.page
        is_open = "() => document.querySelector('#menu').open"
        page.locator("#menu summary").click()
        page.locator("#save").focus()
        page.keyboard.press("Escape")
        assert not page.evaluate(is_open)
        assert page.evaluate("() => document.activeElement.tagName") == "SUMMARY"
        page.keyboard.press("Enter")
        assert page.evaluate(is_open)
        page.locator("#side").click()
        assert not page.evaluate(is_open)
        page.locator("#menu summary").click()
        page.locator("#save").focus()
        page.locator("#open").focus()
        assert not page.evaluate(is_open)
