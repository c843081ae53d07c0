"""The app of the live engine: a real one, started, watched, reduced and stopped from the page, and what it kept."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import Front, Sheet, open_sheet, run_front, wait_until
from tests.conftest import ROOT
from tests.live.engines import build_catalog, build_config, build_strategy, find_events
from tests.ui.engine_desks import end_engine
from workbench.live.engine_directory import EngineDirectory
from workbench.live.observation import observe_engine

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[tuple[Front, EngineDirectory]]:
    """Return a Voila, and an engine of its workspace that has a configuration and never ran."""
    folder = tmp_path_factory.mktemp("engine")
    # The path of a socket has to be short.
    runtime = Path(tempfile.mkdtemp(prefix="wb"))
    catalog = build_catalog(folder / "catalog")
    directory = EngineDirectory(folder / "workspace" / "engines" / "default")
    strategy = build_strategy(is_resting=True, every=20)
    directory.save_config(build_config(catalog, strategy), by="tester")
    environ = {"XDG_RUNTIME_DIR": str(runtime), "PYTHONPATH": str(ROOT)}
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(runtime))
            with run_front("voila", folder, **environ) as front:
                yield front, directory
                end_engine(directory)
    finally:
        shutil.rmtree(runtime)


def _write_dashboard(front: Front) -> str:
    notebook = json.loads((ROOT / "dashboards" / "live.ipynb").read_text(encoding="utf-8"))
    return front.write("live", *("".join(cell["source"]) for cell in notebook["cells"]))


def _press_twice(sheet: Sheet, selector: str) -> None:
    button = sheet.page.locator(selector).first
    button.click()
    sheet.page.locator(f"{selector}.armed").first.wait_for()
    button.click()


def _count_tab(sheet: Sheet, name: str) -> int:
    text = sheet.page.locator(f"#wb-desk-{name} small").text_content() or "0"
    return int(text.replace(",", ""))


def _describe_outcome(directory: EngineDirectory) -> str:
    """Return what the page has to say of an emergency stop that has closed everything."""
    status = observe_engine(directory)
    assert status.latch is not None
    assert status.outcome is not None
    assert status.outcome.closed == 1
    assert status.outcome.cancelled >= 1
    return f"Finished: {status.outcome.cancelled} cancelled, {status.outcome.closed} closed, nothing is open"


@pytest.mark.timeout(400)
def test_engine_from_its_start_to_an_emergency_stop(
    desk: tuple[Front, EngineDirectory], browser: Any
) -> None:
    front, directory = desk
    with open_sheet(browser, front, _write_dashboard(front)) as sheet:
        page = sheet.page
        page.set_default_timeout(60_000)

        # Start: the page tells of it, and orders stream.
        page.locator("#wb-start").click()
        page.locator(".wb-engine-head .wb-badge.ok", has_text="RUNNING").wait_for()
        assert page.locator(".wb-badge.sandbox").is_visible()
        page.locator("#wb-desk-fills small").wait_for()
        first = _count_tab(sheet, "fills")
        wait_until(lambda: _count_tab(sheet, "fills") > first, "more fills")
        page.locator("tr", has_text="LIMIT").locator("text=ACCEPTED").wait_for()
        page.locator(".wb-chart[data-ready]").first.wait_for()
        page.locator(".wb-light.ok").first.wait_for()

        # The whole picture fits the screen, and the emergency stop stays in sight when it is scrolled.
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 1440
        page.mouse.move(700, 700)
        page.mouse.wheel(0, 2_000)
        box = page.locator("#wb-emergency").bounding_box()
        assert box is not None
        assert 0 <= box["y"] < 60

        # Reduce only: one click; nothing more is bought. A position is made smaller by hand.
        page.locator("#wb-state-REDUCING").click()
        page.locator("#wb-state-REDUCING[aria-pressed=true]").wait_for()
        page.locator(".wb-light.warn", has_text="REDUCING").wait_for()
        page.locator("#wb-state-HALTED").click()
        page.locator("#wb-state-HALTED[aria-pressed=true]").wait_for()
        # More risk: asked for, with what is at stake, and left as it is.
        page.locator("#wb-state-ACTIVE").click()
        page.locator(".wb-ask", has_text="HALTED to ACTIVE").wait_for()
        page.locator("#wb-ask-no").click()
        page.locator(".wb-ask").wait_for(state="detached")
        page.locator("#wb-state-ACTIVE").click()
        page.locator("#wb-ask-yes").click()
        page.locator("#wb-state-ACTIVE[aria-pressed=true]").wait_for()
        before = len(find_events(directory, "ManualClose"))
        page.locator("table.positions [data-action=open-row]").click()
        page.locator("#wb-draft-quantity").fill("1000")
        _press_twice(sheet, "table.positions [data-action=reduce]")
        wait_until(lambda: len(find_events(directory, "ManualClose")) > before, "a close by hand")
        (close,) = find_events(directory, "ManualClose")[before:]
        assert close["values"]["quantity"] == "1000"
        assert close["user"]

        # The page is loaded again: it keeps nothing, and shows the same.
        sheet.show_again()
        page.locator(".wb-engine-head .wb-badge.ok", has_text="RUNNING").wait_for()
        wait_until(lambda: _count_tab(sheet, "fills") >= first, "the fills again")

        # Emergency stop, by keyboard: latched, closed, and told as the engine's files tell it.
        page.locator("#wb-emergency").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        page.locator(".wb-latch").wait_for()
        page.get_by_text("nothing is open").wait_for()
        # An order that a strategy sends meanwhile is open for a moment, until the gate denies it.
        wait_until(
            lambda: _describe_outcome(directory) in page.locator(".wb-latch").inner_text(), "the outcome"
        )
        page.get_by_text("Flat: no open positions.").wait_for()
        page.get_by_text("No open orders.").wait_for()
        told = find_events(directory, "OrderFilled")
        wait_until(lambda: _count_tab(sheet, "fills") == min(len(told), 500), "every fill, once")
        worth = find_events(directory, "AccountState")[-1]["balances"][0]["total"]
        page.locator(".wb-kpi", has_text="Equity").get_by_text(f"{Decimal(worth):,.2f}").wait_for()

        # Cleared with a reason, and a second look; the gate stays shut.
        page.locator("#wb-clear-reason").fill("looked at it")
        page.locator("#wb-clear:not([disabled])").click()
        page.locator("#wb-ask-yes").click()
        page.locator(".wb-latch").wait_for(state="detached")
        assert page.locator("#wb-state-HALTED").get_attribute("aria-pressed") == "true"

        # Stop.
        page.locator("#wb-stop").click()
        page.locator("#wb-ask-leave").click()
        page.locator(".wb-engine-head .wb-badge", has_text="STOPPED").wait_for()
        page.locator("#wb-start").wait_for()
    assert not directory.is_held("host")
    assert not directory.is_latched
