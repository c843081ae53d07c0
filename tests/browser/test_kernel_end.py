"""A page whose kernel is gone says so, looks it, and offers no action; a cell that runs again ends what it showed."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import Any

import pytest

from tests.browser.pages import Front, Sheet, open_sheet, wait_until

pytestmark = pytest.mark.browser

NOTICE_SECS = 15.0
CELL = """
import os
from ipywidgets import VBox
from workbench.ui.component import Component, Fragment

CLOSED = []

class Clock(Component):
    clicks = 0
    def build_html(self):
        return (f'<div class="wb-card"><p class="pid">{os.getpid()}</p><p class="clicks">{self.clicks}</p>'
                f'<p class="closed">{len(CLOSED)}</p>'
                '<button class="wb-btn" data-action="go">Go</button>'
                '<button class="wb-btn" data-copy="abc">Copy</button></div>')
    def act(self, action):
        self.clicks += 1
        for fragment in self.fragments:
            fragment.refresh()
    def build_widget(self):
        self.fragments = [Fragment(self.build_html, on_action=self.act) for _ in range(2)]
        return VBox([fragment.widget for fragment in self.fragments])
    def close(self):
        CLOSED.append(self)
"""


def _end(sheet: Sheet) -> None:
    os.kill(int(sheet.page.locator(".pid").first.text_content() or 0), signal.SIGKILL)


def test_killed_kernel_is_said_once_and_nothing_can_be_done(front: Front, browser: Any) -> None:
    with open_sheet(browser, front, front.write("ended", CELL, "Clock()")) as sheet:
        page = sheet.page
        page.locator("[data-action=go]").first.click()
        page.locator(".clicks", has_text="1").first.wait_for()
        assert page.locator(".wb-gone").count() == 0
        before = time.time()
        pid = page.locator(".pid").first.text_content()
        _end(sheet)

        notice = page.locator(".wb-gone")
        notice.wait_for(timeout=NOTICE_SECS * 1000)
        text = notice.inner_text()
        assert notice.count() == 1  # though the component has two pieces
        assert "The kernel has ended." in text
        told = re.search(r"What you see is from (\d\d):(\d\d):(\d\d) UTC", text)
        assert told is not None
        hours, minutes, secs = (int(part) for part in told.groups())
        assert (before - (hours * 3_600 + minutes * 60 + secs)) % 86_400 < 60
        assert page.locator("[data-action=go]").evaluate_all("all => all.every(b => b.disabled)")
        assert page.locator(".wb-live .wb-card").first.evaluate(
            "e => getComputedStyle(e.closest('.wb-live').lastChild).opacity"
        ) == pytest.approx("0.55")

        if front.name == "voila":
            notice.get_by_role("button", name="Reload the page").click()
        else:
            page.locator(".jp-Dialog button.jp-mod-accept").click()
            wait_until(
                lambda: page.evaluate(
                    "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
                ),
                "the next kernel",
            )
            assert notice.count() == 1  # the next kernel knows nothing of what the page shows
            sheet._run_cells()
        page.locator(".pid", has_not_text=str(pid)).first.wait_for()
        notice.wait_for(state="detached")
        page.locator("[data-action=go]").first.click()
        page.locator(".clicks", has_text="1").first.wait_for()
        front.end_kernels()


def test_cell_that_runs_again_closes_what_it_showed_unless_another_cell_shows_it(
    browser: Any, lab: Front
) -> None:
    with open_sheet(
        browser, lab, lab.write("again_and_again", CELL, "Clock()", "kept = Clock(); kept", "kept")
    ) as sheet:
        page = sheet.page
        closed = "() => document.querySelectorAll('.jp-OutputArea-output .closed').length"
        wait_until(lambda: page.evaluate(closed) == 6, "three views of two pieces")

        def run(cell: int) -> None:
            page.evaluate(
                f"""async () => {{ const {{content}} = window.jupyterapp.shell.currentWidget;
                content.activeCellIndex = {cell}; await window.jupyterapp.commands.execute('notebook:run-cell') }}"""
            )

        def count() -> int:
            page.locator("[data-action=go]").last.click()
            return int(page.locator(".closed").last.text_content() or 0)

        assert count() == 0
        run(1)
        wait_until(lambda: count() == 1, "the first one to be closed")
        run(3)
        run(2)
        wait_until(lambda: page.evaluate(closed) == 6, "three views again")
        assert count() == 1  # what cell 2 showed stands in cell 3 still
