"""The app of the live engine in both front ends: a real engine is steered from a page that shows what is stored."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

import workbench
from tests.browser.pages import FRONTS, Front, Sheet, open_sheet, run_front, wait_until
from tests.client.conftest import make_settings
from tests.conftest import ROOT
from tests.live.engines import build_catalog, build_config, build_strategy, find_events, read_events
from tests.ui.engine_desks import end_engine
from workbench.client.client import Client
from workbench.config import Settings
from workbench.live.engine_directory import EngineDirectory
from workbench.live.observation import observe_engine

pytestmark = pytest.mark.browser

SHOWN = 50  # So many rows has a table
LOT = 1_000  # What the strategy trades at a time
USER = getpass.getuser()
# Whether the emergency stop is where it can be pressed: whole on the screen, with nothing over it.
IN_SIGHT = """() => { const button = document.querySelector('#wb-emergency'), box = button.getBoundingClientRect();
  const spots = [[box.left + 4, box.top + 4], [box.right - 4, box.bottom - 4]];
  return spots.every(([x, y]) => document.elementFromPoint(x, y) === button) }"""
# To the end of the page, whichever element scrolls; returns whether its upper part is out of sight then.
SCROLL = """() => { document.querySelector('.wb-engine-lower').scrollIntoView({block: 'end'});
  return document.querySelector('.wb-engine-upper').getBoundingClientRect().top < 0 }"""


@dataclass
class Desk:
    """A front end, and the engine of its workspace."""

    front: Front
    directory: EngineDirectory
    settings: Settings

    def connect(self) -> Client:
        return workbench.connect(settings=self.settings)

    def find_orders(self, name: str, order_id: str) -> list[dict[str, Any]]:
        """Return the journal's events of an order."""
        return [e for e in find_events(self.directory, name) if e["client_order_id"] == order_id]


@pytest.fixture(scope="module", params=FRONTS)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, chromium: str
) -> Iterator[tuple[str, EngineDirectory]]:
    """Return the name of a front end, and a new engine with a configuration; the tests start it."""
    folder = tmp_path_factory.mktemp("engine")
    # The path of a socket has to be short.
    runtime = Path(tempfile.mkdtemp(prefix="wb"))
    catalog = build_catalog(folder / "catalog")
    directory = EngineDirectory(folder / "workspace" / "engines" / "default")
    strategy = build_strategy(is_resting=True, every=20)
    risk = {"max_daily_loss": "50000", "max_exposure": "1000000"}
    directory.save_config(build_config(catalog, strategy, risk=risk), by="tester")
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(runtime))
            patch.setenv("PYTHONPATH", str(ROOT))
            yield request.param, directory
            end_engine(directory)
    finally:
        shutil.rmtree(runtime)


@pytest.fixture(scope="module")
def desk(engine: tuple[str, EngineDirectory], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Return a front end over the engine's workspace; at its end the engine does not run."""
    name, directory = engine
    with run_front(
        name, tmp_path_factory.mktemp(name), WORKBENCH_HOME=str(directory.path.parent.parent)
    ) as front:
        # Those of this process are read once, for whichever workspace came first.
        settings = make_settings(front.workspace, runtime=front.sockets)
        yield Desk(front, directory, settings)
        end_engine(directory)


def _write_dashboard(front: Front) -> str:
    notebook = json.loads((ROOT / "dashboards" / "live.ipynb").read_text(encoding="utf-8"))
    return front.write("live", *("".join(cell["source"]) for cell in notebook["cells"]))


def _press_twice(sheet: Sheet, selector: str) -> None:
    button = sheet.page.locator(selector).first
    button.click()
    armed = sheet.page.locator(f"{selector}.armed").first
    armed.wait_for()
    button.click()
    if armed.is_visible():  # On a machine that is slow it was too late: the click was taken for the first
        button.click()


def _count_tab(sheet: Sheet, name: str) -> int:
    text = sheet.page.locator(f"#wb-desk-{name} small").text_content() or "0"
    return int(text.replace(",", ""))


def _go_to(sheet: Sheet, state: str, *, is_asked: bool = False) -> None:
    """Set what the gate lets through."""
    page = sheet.page
    page.locator(f"#wb-state-{state}").click()
    if is_asked:
        page.locator("#wb-ask-yes").click()
    page.locator(f"#wb-state-{state}[aria-pressed=true]").wait_for()


def _wait_until_held(sheet: Sheet) -> None:
    """Wait for a position that the strategy, which sells one lot at a time, does not close by itself again."""
    wait_until(
        lambda: any(
            row[2] == "LONG" and Decimal(row[3].replace(",", "")) >= 2 * LOT
            for row in _read_rows(sheet, "positions")
        ),
        "a position that stays",
    )


def _read_rows(sheet: Sheet, table: str) -> list[list[str]]:
    """Return the rows of a table: the id of each, and its cells, with a plain minus."""
    return sheet.page.evaluate(
        "table => [...document.querySelectorAll(`table.${table} tbody tr`)].map(r => [r.id, ...[...r.cells].map(c =>"
        " c.innerText.replaceAll('\\u2212', '-'))])",
        table,
    )


def _list_fills(desk: Desk) -> list[list[str]]:
    """Return the fills as the page has to show them: the journal's last ones, the newest first."""
    fills = find_events(desk.directory, "OrderFilled")
    return [
        [f"wb-row-fill:{f['trade_id']}", f["order_side"], f"{Decimal(f['last_qty']):,}", f["last_px"]]
        for f in fills[: -SHOWN - 1 : -1]
    ]


def _check_books(sheet: Sheet, desk: Desk) -> None:
    """Compare the page with the journal and with the engine's own answers; nothing trades meanwhile."""
    page = sheet.page
    page.locator("#wb-desk-fills").click()
    wait_until(
        lambda: [[r[0], r[3], r[4], r[5]] for r in _read_rows(sheet, "fills")] == _list_fills(desk),
        "the fills of the journal",
    )
    wait_until(
        lambda: _count_tab(sheet, "fills") == min(len(find_events(desk.directory, "OrderFilled")), 500),
        "the number of fills",
    )
    with desk.connect() as client:
        positions, orders = client.engine().positions(), client.engine().orders(is_open=True)
    held = [[f"wb-row-position:{p.position_id}", p.side, f"{Decimal(p.quantity):,}"] for p in positions]
    wait_until(
        lambda: [[r[0], r[2], r[3]] for r in _read_rows(sheet, "positions")] == held, "the engine's positions"
    )
    page.locator("#wb-desk-orders").click()
    resting = {f"wb-row-order:{o.client_order_id}" for o in orders}
    wait_until(lambda: {r[0] for r in _read_rows(sheet, "orders")} == resting, "the engine's open orders")
    # Every event, in order: none twice, none missing.
    rows = _read_rows(sheet, "wb-events")
    numbers = [int(row[0].removeprefix("wb-event-")) for row in rows]
    assert numbers == list(range(numbers[0], numbers[0] - len(numbers), -1))
    told = {event.seq: event for event in read_events(desk.directory)}
    assert [row[2] for row in rows] == [told[n].name for n in numbers]


def _kill_server(desk: Desk) -> None:
    with desk.connect() as client:
        server = psutil.Process(client.health()["pid"])
    os.kill(server.pid, signal.SIGKILL)
    psutil.wait_procs([server], timeout=10)


def _describe_outcome(directory: EngineDirectory) -> str:
    """Return what the page has to say of an emergency stop that has closed everything."""
    status = observe_engine(directory)
    assert status.latch is not None
    assert status.outcome is not None
    assert status.outcome.closed == 1
    assert status.outcome.cancelled >= 1
    return f"Finished: {status.outcome.cancelled} cancelled, {status.outcome.closed} closed, nothing is open"


@pytest.mark.timeout(400)
def test_engine_from_its_start_to_an_emergency_stop(desk: Desk, browser: Any) -> None:
    front, directory = desk.front, desk.directory
    with open_sheet(browser, front, _write_dashboard(front)) as sheet:
        page = sheet.page
        page.set_default_timeout(60_000)

        # Start: the page tells of it, and orders stream.
        page.locator("#wb-start").click()
        page.locator(".wb-engine-head .wb-badge.ok", has_text="RUNNING").wait_for()
        assert page.locator(".wb-engine-head .wb-badge.sandbox").is_visible()
        page.locator("#wb-desk-fills small").wait_for()
        first = _count_tab(sheet, "fills")
        wait_until(lambda: _count_tab(sheet, "fills") > first, "more fills")
        page.locator("tr", has_text="LIMIT").locator("text=ACCEPTED").first.wait_for()
        page.locator(".wb-chart[data-ready]").first.wait_for()
        page.locator(".wb-light.ok").first.wait_for()

        # The emergency stop stays in sight however far the page is scrolled.
        assert page.evaluate(IN_SIGHT)
        assert page.evaluate(SCROLL)
        wait_until(lambda: page.evaluate(IN_SIGHT), "the emergency stop")

        _trade_by_hand(sheet, desk)

        # Reduce only and halt: one click. More risk: asked for, with what is at stake, and left as it is.
        _go_to(sheet, "REDUCING")
        page.locator(".wb-light.warn", has_text="REDUCING").wait_for()
        _go_to(sheet, "HALTED")
        page.locator("#wb-state-ACTIVE").click()
        page.locator(".wb-ask", has_text="HALTED to ACTIVE").wait_for()
        for width in (1280, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(SCROLL)
            wait_until(lambda: page.evaluate(IN_SIGHT), "the emergency stop beside a question")
            assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        page.locator("#wb-ask-no").click()
        page.locator(".wb-ask").wait_for(state="detached")
        _check_books(sheet, desk)
        _go_to(sheet, "ACTIVE", is_asked=True)
        _wait_until_held(sheet)

        _lose_the_server(sheet, desk)

        # The page is loaded again: it keeps nothing, and shows the same.
        _go_to(sheet, "HALTED")
        _check_books(sheet, desk)
        sheet.show_again()
        page.locator(".wb-engine-head .wb-badge.ok", has_text="RUNNING").wait_for()
        _check_books(sheet, desk)
        _go_to(sheet, "ACTIVE", is_asked=True)
        _wait_until_held(sheet)

        _stop_in_an_emergency(sheet, desk)

        # Stop.
        _go_to(sheet, "ACTIVE", is_asked=True)
        page.locator("#wb-stop").click()
        page.locator("#wb-ask-leave").click()
        page.locator(".wb-engine-head .wb-badge", has_text="STOPPED").wait_for()
        page.locator("#wb-start").wait_for()
    assert not directory.is_held("host")
    assert not directory.is_latched


def _trade_by_hand(sheet: Sheet, desk: Desk) -> None:
    """Enter an order far from the market, change it, cancel it, and close a position."""
    page, directory = sheet.page, desk.directory
    page.locator("#wb-desk-new").click()
    page.locator("#wb-order-type").select_option("LIMIT")
    page.locator("#wb-order-quantity").fill("2000")
    page.locator("#wb-order-price").fill("0.50000")
    page.locator("#wb-order-post").check()
    _press_twice(sheet, "#wb-order-send")
    page.get_by_text("sent as").wait_for()
    entered = find_events(directory, "ManualOrder")[-1]
    assert entered["user"] == USER
    order_id = entered["client_order_id"]
    page.locator("#wb-desk-orders").click()
    row = page.locator(f"[id='wb-row-order:{order_id}']")
    row.locator("text=ACCEPTED").wait_for()
    assert row.locator("td.n").all_inner_texts() == ["0 / 2,000", "0.50000"]

    row.locator("[data-action=open-row]").click()
    page.locator("#wb-draft-price").fill("0.51000")
    _press_twice(sheet, "[data-action=modify]")
    row.get_by_text("0.51000").wait_for()
    (update,) = desk.find_orders("OrderUpdated", order_id)
    assert update["price"] == "0.51000"
    assert find_events(directory, "ManualModify")[-1]["user"] == USER

    _press_twice(sheet, f"[id='wb-row-order:{order_id}'] [data-action=cancel]")
    row.wait_for(state="detached")
    assert len(desk.find_orders("OrderCanceled", order_id)) == 1
    assert find_events(directory, "ManualCancel")[-1]["user"] == USER

    # A part of a position, and then all of it.
    before = len(find_events(directory, "ManualClose"))
    page.locator("table.positions [data-action=open-row]").first.click()
    page.locator("#wb-draft-quantity").fill("1000")
    _press_twice(sheet, "table.positions [data-action=reduce]")
    wait_until(lambda: len(find_events(directory, "ManualClose")) > before, "a part closed by hand")
    page.locator("table.positions [data-action=close]").first.wait_for()
    _press_twice(sheet, "table.positions [data-action=close]")
    wait_until(lambda: len(find_events(directory, "ManualClose")) > before + 1, "a close by hand")
    part, close = find_events(directory, "ManualClose")[before:]
    assert part["values"]["quantity"] == "1000"
    assert {part["user"], close["user"]} == {USER}
    wait_until(lambda: desk.find_orders("OrderFilled", close["client_order_id"]), "its fill")
    (order,) = desk.find_orders("OrderInitialized", close["client_order_id"])
    assert f"user:{USER}" in order["tags"]


def _lose_the_server(sheet: Sheet, desk: Desk) -> None:
    """Kill the server: the page says so, and what it shows looks old. A new one: it is back, with what happened."""
    page = sheet.page
    _kill_server(desk)
    page.locator(".wb-lost", has_text="The server does not answer").wait_for()
    page.locator(".wb-engine-head .wb-kpis.stale").wait_for()
    page.locator(".wb-age.warn", has_text="old").wait_for()
    page.locator(".wb-engine-card.is-stale table.positions").wait_for()
    assert float(page.locator(".wb-kpis.stale").evaluate("e => getComputedStyle(e).opacity")) < 0.7
    assert page.locator("#wb-emergency").is_enabled()
    assert page.evaluate(IN_SIGHT)

    # The engine trades on meanwhile.
    last = read_events(desk.directory)[-1].seq
    fills = len(find_events(desk.directory, "OrderFilled"))
    wait_until(lambda: len(find_events(desk.directory, "OrderFilled")) >= fills + 3, "fills without a server")
    meanwhile = read_events(desk.directory)[-1].seq - last
    with desk.connect():
        back = page.locator(".wb-lost", has_text="It is back").filter(has_text="events since it was lost")
        back.wait_for()
    page.locator(".wb-engine-head .wb-kpis:not(.stale)").wait_for()

    def count() -> int:
        return int(back.inner_text().split(" events since")[0].rsplit(" ", 1)[1].replace(",", ""))

    wait_until(lambda: count() >= meanwhile, "what happened meanwhile")


def _stop_in_an_emergency(sheet: Sheet, desk: Desk) -> None:
    """Stop by keyboard: latched, closed, and told as the engine's files tell it; cleared with a reason."""
    page, directory = sheet.page, desk.directory
    page.locator("#wb-emergency").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.locator(".wb-latch").wait_for()
    page.get_by_text("nothing is open").first.wait_for()
    # An order that a strategy sends meanwhile is open for a moment, until the gate denies it.
    wait_until(lambda: _describe_outcome(directory) in page.locator(".wb-latch").inner_text(), "the outcome")
    gate = [
        msgspec.json.decode(e.body) for e in read_events(directory) if (e.kind, e.name) == ("gate", "state")
    ]
    assert gate[-1]["reason"].startswith("emergency: HALTED")
    page.get_by_text("Flat: no open positions.").wait_for()
    page.get_by_text("No open orders.").wait_for()
    told = find_events(directory, "OrderFilled")
    wait_until(lambda: _count_tab(sheet, "fills") == min(len(told), 500), "every fill, once")
    worth = find_events(directory, "AccountState")[-1]["balances"][0]["total"]
    page.locator(".wb-kpi", has_text="Equity").get_by_text(f"{Decimal(worth):,.2f}").wait_for()

    # Cleared with a reason, and a second look, which does not speak of what is no longer open; the gate stays shut.
    page.locator("#wb-clear-reason").fill("looked at it")
    page.locator("#wb-clear:not([disabled])").click()
    page.locator("#wb-ask-yes").wait_for()
    assert "still open" not in page.locator(".wb-ask").inner_text()
    page.locator("#wb-ask-yes").click()
    page.locator(".wb-latch").wait_for(state="detached")
    assert page.locator("#wb-state-HALTED").get_attribute("aria-pressed") == "true"
    assert "looked at it" in str(find_events(directory, "EmergencyCleared")[-1])
