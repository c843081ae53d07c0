"""A closed page leaves no kernel: one that says goodbye, one that is killed, and one that never came."""

from __future__ import annotations

import contextlib
from typing import Any

import httpx
import pytest
from playwright.sync_api import Error

from tests.browser.pages import TABS, Front, open_sheet, wait_until

pytestmark = pytest.mark.browser

VIEW_SECS = 5.0  # of the fixture's Voila
CELL = """
import os
from workbench.ui.component import Component, Fragment

class Clock(Component):
    def build_html(self):
        return f'<p id="pid">{os.getpid()}</p>'
    def build_widget(self):
        return Fragment(self.build_html).widget

Clock()
"""


@pytest.mark.timeout(120 + 30 * TABS)
def test_closed_tabs_leave_no_kernel(voila: Front, browser: Any) -> None:
    notebook = voila.write("clock", CELL)
    seen = set()
    for _ in range(TABS):
        with open_sheet(browser, voila, notebook) as sheet:
            seen.add(sheet.page.locator("#pid").text_content())

    assert len(seen) == TABS
    wait_until(lambda: not voila.find_kernels(), "the end of all kernels", VIEW_SECS * 4)


def test_killed_page_ends_its_kernel_and_an_open_one_keeps_it(voila: Front, browser: Any) -> None:
    notebook = voila.write("clock", CELL)
    with open_sheet(browser, voila, notebook) as kept:
        (process,) = voila.find_kernels()
        with open_sheet(browser, voila, notebook) as killed:
            killed.page.locator("#pid").wait_for()
            assert len(voila.find_kernels()) == 2
            with killed.page.expect_event("crash"), contextlib.suppress(Error):
                killed.page.goto("chrome://crash")
        wait_until(
            lambda: len(voila.find_kernels()) == 1, "the end of the killed page's kernel", VIEW_SECS * 4
        )

        kept.page.wait_for_timeout(VIEW_SECS * 2000)
        assert voila.find_kernels() == [process]
    wait_until(lambda: not voila.find_kernels(), "the end of the last kernel", VIEW_SECS * 4)


def test_page_that_never_comes_leaves_no_kernel(voila: Front) -> None:
    notebook = voila.write("clock", CELL)

    answer = httpx.get(voila.build_url(notebook), follow_redirects=True, timeout=60)

    assert answer.status_code == 200
    wait_until(lambda: not voila.find_kernels(), "the end of its kernel", VIEW_SECS * 4)


def test_pages_need_a_person_and_templates_of_ours_only(voila: Front) -> None:
    notebook = voila.write("clock", CELL)

    refused = httpx.get(f"{voila.url}/voila/render/{notebook}")
    by_token = httpx.get(f"{voila.url}/?token={voila.token}")
    listed = httpx.get(voila.build_url(""), follow_redirects=True)

    assert (refused.status_code, by_token.status_code) == (302, 302)
    assert refused.headers["location"].startswith("/login")
    assert "Clock" in listed.text
    assert "https://" not in listed.text
    assert voila.find_kernels() == []
