"""What a page says of its kernel: that the connection is lost and back, and that the kernel has ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ipywidgets import VBox

from tests.ui.widget_page import open_widget
from workbench.ui.live_html import Action, LiveHtml

pytestmark = pytest.mark.browser

BUTTONS = (
    "<button id='{0}' data-action='go'>Go</button><button disabled data-action='go'>No</button>"
    "<input data-action='x'>"
)
STATE = """() => ({bars: document.querySelectorAll('.wb-gone').length,
  text: document.querySelector('.wb-gone')?.innerText ?? '',
  gone: document.querySelectorAll('.wb-live.is-gone').length,
  disabled: document.querySelectorAll('.wb-live :disabled').length})"""


@pytest.fixture
def heard() -> list[Action]:
    return []


@pytest.fixture
def page(browser: Any, heard: list[Action]) -> Iterator[Any]:
    pieces = [LiveHtml(BUTTONS.format(name), on_action=heard.append) for name in ("a", "b")]
    with open_widget(browser, VBox(pieces)) as page:
        page.locator("#b").wait_for()
        yield page
        assert page.wrong == []


def _lose(page: Any, status: str) -> dict[str, Any]:
    page.evaluate("status => window.kernel.connectionStatusChanged.emit(window.kernel, status)", status)
    state: dict[str, Any] = page.evaluate(STATE)
    return state


def test_lost_connection_is_said_once_and_taken_back(page: Any, heard: list[Action]) -> None:
    assert page.evaluate(STATE) == {"bars": 0, "text": "", "gone": 0, "disabled": 2}
    lost = _lose(page, "connecting")
    assert (lost["bars"], lost["gone"], lost["disabled"]) == (1, 2, 6)
    assert "The connection to the kernel is lost." in lost["text"]
    page.locator("#a").dispatch_event("click")
    assert _lose(page, "connected") == {"bars": 0, "text": "", "gone": 0, "disabled": 2}
    page.locator("#b").click()
    page.wait_for_timeout(100)
    assert [action.name for action in heard] == ["go"]


@pytest.mark.parametrize("status", ["dead", "autorestarting", "restarting"])
def test_ended_kernel_stays_ended_whatever_the_connection_does(page: Any, status: str) -> None:
    page.evaluate("status => window.kernel.statusChanged.emit(window.kernel, status)", status)
    assert "The kernel has ended." in page.evaluate(STATE)["text"]
    for connection in ("connecting", "connected"):
        state = _lose(page, connection)
        assert "The kernel has ended." in state["text"]
        assert (state["bars"], state["gone"], state["disabled"]) == (1, 2, 6)


def test_busy_kernel_and_one_of_a_closed_session_are_told_apart(page: Any) -> None:
    page.evaluate("() => window.kernel.statusChanged.emit(window.kernel, 'busy')")
    assert page.evaluate(STATE)["bars"] == 0
    page.evaluate("() => window.kernel.disposed.emit(window.kernel)")
    assert "The kernel has ended." in page.evaluate(STATE)["text"]
