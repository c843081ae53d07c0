"""The tables of an engine: what they show of the host's rows, and what their buttons do there."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
import pytest

from tests.api.engine_hosts import LIVE, ORDER, POSITION
from tests.jobs.walks import wait_until
from tests.ui.engine_desks import running_host, shown
from tests.ui.test_engine_book import build_event
from tests.ui.walking import Page, Walks
from workbench.errors import InputError
from workbench.ui import AccountsTable, FillsTable, LogTable, OrdersTable, PositionsTable
from workbench.ui.engine_desk import EngineDesk
from workbench.ui.engine_log import describe_event, find_tone
from workbench.ui.engine_order_form import ManualOrderForm
from workbench.ui.engine_rows import build_position_cells, format_money, format_text

ORDER_KEY, POSITION_KEY = f"order:{ORDER.client_order_id}", f"position:{POSITION.position_id}"


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    walks = Walks(tmp_path_factory.mktemp("tables"))
    yield walks
    walks.stop()


def test_order_is_cancelled_and_changed_from_its_row(walks: Walks) -> None:
    with (
        running_host(walks) as host,
        walks.connect("trader") as client,
        shown(OrdersTable, client) as screen,
    ):
        screen.wait_for("ACCEPTED")
        (cancel,) = Page(screen.html).find("button", data_action="cancel")
        assert cancel.attributes["data-confirm"]
        wait_until(
            lambda: "disabled" not in Page(screen.html).find("button", data_action="cancel")[0].attributes
        )
        screen.press("cancel", ORDER_KEY)
        wait_until(
            lambda: (
                {"method": "DELETE", "path": "/orders/O-1"}.items() <= host.told[-1].items()
                or _has(host, "DELETE")
            )
        )

        screen.press("open-row", ORDER_KEY)
        (price,) = Page(screen.html).find("input", id="wb-draft-price")
        assert price.attributes["value"] == ORDER.price
        with pytest.raises(InputError, match="nothing was changed"):
            screen.press("modify", ORDER_KEY)
        screen.press("draft", "price", "1.60000")
        screen.press("modify", ORDER_KEY)
        wait_until(lambda: _has(host, "PATCH"))
        (told,) = [one for one in host.told if one["method"] == "PATCH"]
        assert (told["body"], told["user"]) == ({"price": "1.60000"}, "trader")


def _has(host: object, method: str) -> bool:
    return any(one["method"] == method for one in host.told)  # type: ignore[attr-defined]


def test_change_of_an_order_in_live_wants_the_name(walks: Walks) -> None:
    with (
        running_host(walks, config=LIVE) as host,
        walks.connect("trader") as client,
        shown(OrdersTable, client) as screen,
    ):
        screen.wait_for("ACCEPTED")
        screen.press("open-row", ORDER_KEY)
        screen.press("draft", "quantity", "2000")
        screen.press("modify", ORDER_KEY)
        screen.wait_for("quantity: 1000 becomes 2000")
        with pytest.raises(InputError, match="does not match"):
            screen.press("answer", "yes")
        assert not _has(host, "PATCH")
        screen.press("word", value="default")
        screen.press("answer", "yes")
        wait_until(lambda: _has(host, "PATCH"))


def test_position_is_reduced_and_closed_from_its_row_and_refusals_stand_there(walks: Walks) -> None:
    with (
        running_host(walks) as host,
        walks.connect("trader") as client,
        shown(PositionsTable, client) as screen,
    ):
        screen.wait_for("LONG")
        screen.press("open-row", POSITION_KEY)
        with pytest.raises(InputError, match="how much"):
            screen.press("reduce", POSITION_KEY)
        screen.press("draft", "quantity", "500")
        screen.press("reduce", POSITION_KEY)
        place = "/positions/GBP%2FUSD.SIM-S-1/close"
        wait_until(lambda: any(one["path"] == place for one in host.told))
        host.answers[place] = (409, {"code": "conflict", "detail": "it is <closed>"})
        screen.press("close", POSITION_KEY)
        screen.wait_for("it is &lt;closed&gt;")
        assert [one["body"] for one in host.told if one["path"] == place] == [{"quantity": "500"}, {}]
        screen.press("forget", POSITION_KEY)
        assert "closed&gt;" not in screen.html


def test_tables_of_a_viewer_do_nothing(walks: Walks) -> None:
    with running_host(walks), walks.connect("viewer") as client, shown(PositionsTable, client) as screen:
        screen.wait_for("LONG")
        wait_until(lambda: client is not None and "disabled" in screen.html)
        assert all("disabled" in e.attributes for e in Page(screen.html).find("button"))


def test_static_tables_have_rows_and_nothing_to_press(walks: Walks) -> None:
    with running_host(walks) as host, walks.connect("viewer") as client:
        host.tell(2)
        for kind, text in (
            (OrdersTable, "ACCEPTED"),
            (FillsTable, "2,000"),
            (PositionsTable, "LONG"),
            (AccountsTable, "999,000.00"),
            (LogTable, "OrderAccepted"),
            (EngineDesk, "999,000.00"),
        ):
            html = kind(client).build_html()
            assert text in html
            assert "data-action" not in html
            Page(html)


def test_order_by_hand_is_described_before_it_is_sent(walks: Walks) -> None:
    with running_host(walks) as host, walks.connect("trader") as client, shown(EngineDesk, client) as screen:
        screen.wait_for("ACCEPTED")
        screen.press("tab", "New order")
        with pytest.raises(InputError, match="quantity is missing"):
            screen.press("send")
        screen.press("order-field", "quantity", "10")
        screen.press("order-field", "type", "LIMIT")
        screen.press("order-field", "price", "1.40000")
        screen.press("order-field", "side", "SELL")
        screen.press("order-field", "time_in_force", "DAY")
        screen.press("order-flag", "is_post_only", True)
        (send,) = Page(screen.html).find("button", id="wb-order-send")
        assert send.attributes["data-confirm"] == "SELL 10 GBP/USD.SIM LIMIT @ 1.40000, DAY, post only?"
        screen.press("send")
        screen.wait_for("sent as O-2")
        (told,) = [one for one in host.told if one["method"] == "POST"]
        assert told["user"] == "trader"
        assert (
            told["body"].items()
            >= {
                "instrument_id": "GBP/USD.SIM",
                "side": "SELL",
                "quantity": "10",
                "type": "LIMIT",
                "price": "1.40000",
                "time_in_force": "DAY",
                "is_reduce_only": False,
                "is_post_only": True,
            }.items()
        )
        # What a market order cannot be is neither asked nor sent.
        screen.press("order-field", "type", "MARKET")
        assert "wb-order-post" not in screen.html
        assert "post only" not in screen.html
        screen.press("send")
        wait_until(lambda: len([one for one in host.told if one["method"] == "POST"]) == 2)
        assert not [one for one in host.told if one["method"] == "POST"][1]["body"].get("is_post_only")


def test_order_by_hand_in_live_wants_the_name(walks: Walks) -> None:
    with (
        running_host(walks, config=LIVE) as host,
        walks.connect("trader") as client,
        shown(ManualOrderForm, client) as screen,
    ):
        wait_until(lambda: "GBP/USD.SIM" in screen.html)
        screen.press("order-field", "quantity", "10")
        screen.press("send")
        screen.wait_for("wb-ask-word")
        assert not _has(host, "POST")
        screen.press("word", value="default")
        screen.press("answer", "yes")
        wait_until(lambda: _has(host, "POST"))


def test_old_mark_looks_old_and_a_missing_one_is_no_number() -> None:
    now = time.time()
    marked = msgspec.structs.replace(
        POSITION, mark="1.52000", mark_ts=int((now - 60) * 1e9), unrealized_pnl="-3.50 USD"
    )
    cells = build_position_cells(marked, now)
    assert "stale" in cells[4][1]
    assert "60 s" in cells[4][1]
    assert cells[5] == ("n down stale", "\N{MINUS SIGN}3.50 <small>USD</small>")
    fresh = build_position_cells(msgspec.structs.replace(marked, mark_ts=int(now * 1e9)), now)
    assert "stale" not in fresh[4][1]
    assert "no price" in build_position_cells(POSITION, now)[4][1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1234.50", "1,234.50"), ("-1000", "\N{MINUS SIGN}1,000"), ("<b>", "&lt;b&gt;"), ("NaN", "\N{EM DASH}")],
)
def test_decimal_text_keeps_its_decimals(text: str, expected: str) -> None:
    assert format_text(text) == expected


def test_money_has_its_sign_and_currency() -> None:
    assert format_money("4.36 USD", is_signed=True) == ("+4.36 <small>USD</small>", "up")
    assert format_money("") == ("\N{EM DASH}", "")


def test_events_are_told_in_words_and_escaped() -> None:
    fill = {
        "order_side": "BUY",
        "last_qty": "1000",
        "instrument_id": "A<B",
        "last_px": "1.5",
        "strategy_id": "S-1",
    }
    assert describe_event(build_event(1, "order", "OrderFilled", **fill)) == "BUY 1,000 A&lt;B @ 1.5 · S-1"
    denied = build_event(2, "order", "OrderDenied", reason="the gate is <HALTED>")
    assert describe_event(denied) == "the gate is &lt;HALTED&gt;"
    assert find_tone(denied) == "bad"
    assert describe_event(build_event(3, "alarm", "HostFailed", error="<x>", field="")) == "error &lt;x&gt;"
    settled = build_event(4, "engine", "EmergencySettled", cancelled=1, closed=2, still_open=[{}])
    assert describe_event(settled) == "1 cancelled, 2 closed, 1 still open"
    odd = msgspec.structs.replace(settled, body=msgspec.Raw(b"[1, 2]"))
    assert describe_event(odd) == "0 messages of market data"


def test_events_can_be_narrowed(walks: Walks) -> None:
    with running_host(walks) as host, walks.connect() as client, shown(LogTable, client) as screen:
        host.tell(1)
        host.tell(1, kind="alarm", name="JournalResumed")
        screen.wait_for("JournalResumed")
        assert "OrderAccepted" in screen.html
        screen.press("events", "Alarms")
        assert "OrderAccepted" not in screen.html
        assert "JournalResumed" in screen.html
