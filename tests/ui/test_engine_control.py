"""Steering an engine from a page: what takes one press, what is asked first, and in which words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.engine_hosts import LIVE, build_engine
from tests.jobs.walks import wait_until
from tests.ui.engine_desks import Screen, running_host, shown
from tests.ui.walking import Page, Walks
from workbench.errors import InputError
from workbench.ui import EngineControlPanel


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    walks = Walks(tmp_path_factory.mktemp("control"))
    yield walks
    walks.stop()


def test_emergency_stop_takes_one_call_and_is_cleared_with_a_reason(walks: Walks) -> None:
    with (
        running_host(walks) as host,
        walks.connect("trader") as client,
        shown(EngineControlPanel, client) as screen,
    ):
        screen.wait_for("cancels all orders and closes the positions of its own strategies")
        (button,) = Page(screen.html).find("button", id="wb-emergency")
        assert button.attributes["data-confirm"]
        assert "disabled" not in button.attributes
        screen.press("emergency-stop")
        screen.wait_for("wb-latch")
        screen.wait_for("1 cancelled")
        (told,) = [one for one in host.told if one["path"] == "/emergency-stop"]
        assert told["user"] == "trader"

        assert "disabled" in Page(screen.html).find("button", id="wb-clear")[0].attributes
        screen.press("reason", value="<b>looked")
        assert "disabled" not in Page(screen.html).find("button", id="wb-clear")[0].attributes
        assert "&lt;b&gt;looked" in screen.html
        screen.press("clear")
        screen.wait_for("role='alertdialog'")
        assert host.directory.is_latched
        screen.press("answer", "yes")
        screen.wait_until_gone("wb-latch")
        assert not host.directory.is_latched


def test_less_risk_takes_one_press_and_more_asks_in_a_sandbox_by_a_click(walks: Walks) -> None:
    with (
        running_host(walks) as host,
        walks.connect("trader") as client,
        shown(EngineControlPanel, client) as screen,
    ):
        screen.wait_for("data-key='HALTED'")
        screen.press("trading-state", "HALTED")
        wait_until(lambda: host.trading_state == "HALTED")
        wait_until(lambda: _is_pressed(screen, "HALTED"))
        screen.press("trading-state", "ACTIVE")
        screen.wait_for("HALTED to ACTIVE")
        assert "wb-ask-word" not in screen.html
        assert host.trading_state == "HALTED"
        screen.press("dismiss")
        assert "alertdialog" not in screen.html
        with pytest.raises(InputError, match="nothing is asked"):
            screen.press("answer", "yes")
        screen.press("trading-state", "ACTIVE")
        screen.wait_for("alertdialog")
        screen.press("answer", "yes")
        wait_until(lambda: host.trading_state == "ACTIVE")


def test_live_engine_looks_like_one_and_wants_its_name_typed(walks: Walks) -> None:
    with (
        running_host(walks, config=LIVE) as host,
        walks.connect("trader") as client,
        shown(EngineControlPanel, client) as screen,
    ):
        screen.wait_for("data-key='HALTED'")
        page = Page(screen.html)
        assert page.has_class("is-live")
        assert [e.text for e in page.has_class("live")] == ["LIVE"]
        screen.press("trading-state", "HALTED")
        wait_until(lambda: host.trading_state == "HALTED")
        wait_until(lambda: _is_pressed(screen, "HALTED"))
        screen.press("trading-state", "ACTIVE")
        screen.wait_for("wb-ask-word")
        for typed in ("", "LIVE", "Default"):
            screen.press("word", value=typed)
            assert "disabled" in Page(screen.html).find("button", id="wb-ask-yes")[0].attributes
            with pytest.raises(InputError, match="does not match"):
                screen.press("answer", "yes")
        assert host.trading_state == "HALTED"
        screen.press("word", value=" default ")
        assert "disabled" not in Page(screen.html).find("button", id="wb-ask-yes")[0].attributes
        screen.press("answer", "yes")
        wait_until(lambda: host.trading_state == "ACTIVE")


def test_stop_is_asked_with_what_is_open_and_may_flatten(walks: Walks) -> None:
    with (
        running_host(walks) as host,
        walks.connect("trader") as client,
        shown(EngineControlPanel, client) as screen,
    ):
        screen.wait_for("data-action='stop'")
        wait_until(lambda: screen.piece._feed.read(lambda book: bool(book.positions)))
        screen.press("stop")
        assert "LONG 2,000 GBP/USD.SIM" in screen.html
        screen.press("answer", "flatten")
        wait_until(lambda: not host.directory.is_held("host"))
        desired = host.directory.load_desired()
        assert desired is not None
        assert (desired.is_flattening, desired.by) == (True, "trader")
        screen.wait_for("data-action='start'")


def test_stop_of_a_live_engine_wants_its_name(walks: Walks) -> None:
    with (
        running_host(walks, config=LIVE) as host,
        walks.connect("trader") as client,
        shown(EngineControlPanel, client) as screen,
    ):
        screen.wait_for("data-action='stop'")
        screen.press("stop")
        with pytest.raises(InputError, match="does not match"):
            screen.press("answer", "leave")
        assert host.directory.is_held("host")
        screen.press("word", value="default")
        screen.press("answer", "leave")
        wait_until(lambda: not host.directory.is_held("host"))


def test_viewer_sees_and_presses_nothing(walks: Walks) -> None:
    with (
        running_host(walks) as host,
        walks.connect("viewer") as client,
        shown(EngineControlPanel, client) as screen,
    ):
        screen.wait_for("Your role may look")
        page = Page(screen.html)
        acting = [e for e in page.find("button") if e.attributes.get("data-action")]
        assert acting
        assert all("disabled" in e.attributes for e in acting)
        screen.press("emergency-stop")  # By whatever means: the server refuses
        screen.wait_for("The emergency stop was not heard")
        assert not host.directory.is_latched


def test_what_fails_is_said_and_can_be_dismissed(walks: Walks) -> None:
    with (
        running_host(walks) as host,
        walks.connect("trader") as client,
        shown(EngineControlPanel, client) as screen,
    ):
        screen.wait_for("data-key='HALTED'")
        host.answers["/trading-state"] = (503, {"code": "server_failed", "detail": "the gate <hangs>"})
        screen.press("trading-state", "REDUCING")
        screen.wait_for("the gate &lt;hangs&gt;")
        screen.press("forget", "trading-state")
        assert "hangs" not in screen.html


def test_engine_that_never_ran_can_be_started_and_static_form_has_nothing_to_press(walks: Walks) -> None:
    with walks.connect("trader") as client:
        panel = EngineControlPanel(client, "fresh")
        assert "there is no engine" not in panel.build_html()
        build_engine(walks.serving.settings.engines, "fresh")
        html = panel.build_html()
        assert "data-action" not in html
        assert "STOPPED" in html
        with shown(lambda c: EngineControlPanel(c, "fresh"), client) as screen:
            screen.wait_for("data-action='start'")


def test_lost_server_is_said_with_what_helps_and_its_return_too(tmp_path: Path) -> None:
    walks = Walks(tmp_path)
    try:
        build_engine(walks.serving.settings.engines)
        with walks.connect("trader") as client, shown(EngineControlPanel, client) as screen:
            screen.wait_for("data-action='start'>Start")  # It can be pressed: the engine was heard
            walks.stop()
            screen.wait_for("The server does not answer")
            assert "workbench engine emergency-stop" in screen.html
            assert "id='wb-emergency'" in screen.html
            walks.start()
            screen.wait_for("It is back, and everything was asked for again")
            assert "does not answer" not in screen.html
    finally:
        walks.stop()


def _is_pressed(screen: Screen, state: str) -> bool:
    (button,) = Page(screen.html).find("button", id=f"wb-state-{state}")
    return button.attributes["aria-pressed"] == "true"
