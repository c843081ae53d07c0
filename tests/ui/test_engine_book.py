"""What is known of an engine: whatever is told twice, left out or asked for meanwhile, it is what the engine holds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.client.engine import EngineReport
from workbench.client.engine_events import Link
from workbench.engine_records import (
    EngineEvent,
    EngineStatus,
    Gap,
    Heartbeat,
    HostMode,
    HostRecord,
    OrderRow,
    PositionRow,
)
from workbench.errors import NotFoundError
from workbench.states import EngineState
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_orders import apply_order_event, build_fill

NEXT = {
    "INITIALIZED": ["OrderSubmitted", "OrderDenied"],
    "SUBMITTED": ["OrderAccepted", "OrderRejected"],
    "ACCEPTED": ["OrderFilled", "OrderCanceled", "OrderExpired"],
    "PARTIALLY_FILLED": ["OrderFilled", "OrderCanceled"],
}
POSITION = PositionRow(
    position_id="P-1",
    strategy_id="S-1",
    instrument_id="GBP/USD.SIM",
    side="LONG",
    quantity="1",
    avg_px_open="1.5",
    currency="USD",
    ts_opened=1,
)


def build_event(seq: int, kind: str, name: str, **body: Any) -> EngineEvent:
    raw = msgspec.Raw(msgspec.json.encode(body))
    return EngineEvent(seq=seq, ts_ns=seq, incarnation=1, kind=kind, name=name, body=raw)


def build_report(*, equity: str | None = None, incarnation: int = 1, last_seq: int = 0) -> EngineReport:
    host = HostRecord(
        pid=1,
        incarnation=incarnation,
        config_version=1,
        environment="SANDBOX",
        mode=HostMode.TRADE,
        started_at="",
        socket="",
    )
    beat = Heartbeat(
        ts_ns=1, incarnation=incarnation, pid=1, state=EngineState.RUNNING, loop_ts_ns=1, last_seq=last_seq
    )
    status = EngineStatus(
        name="a",
        state=EngineState.RUNNING,
        environment="SANDBOX",
        is_alive=True,
        is_guarded=True,
        host=host,
        heartbeat=beat,
        heartbeat_age_secs=0.1,
    )
    return EngineReport(status=status, facts={"valuation": {"equity": equity, "currency": "USD"}})


class Host:
    """An engine: its orders, its fills, and the events that made them."""

    def __init__(self) -> None:
        self.orders: dict[str, OrderRow] = {}
        self.fills: dict[str, Any] = {}
        self.events: list[EngineEvent] = []

    def begin(self) -> None:
        order_id = f"O-{len(self.orders)}"
        self._tell(
            order_id,
            "OrderInitialized",
            strategy_id="S-1",
            instrument_id="GBP/USD.SIM",
            order_side="BUY",
            order_type="LIMIT",
            quantity="3",
            time_in_force="GTC",
            options={"price": "1.5"},
        )

    def go_on(self, choice: int) -> None:
        live = [row for row in self.orders.values() if row.is_open]
        if not live:
            self.begin()
            return
        row = live[choice % len(live)]
        names = NEXT[row.status]
        name = names[choice % len(names)]
        more = {}
        if name == "OrderFilled":
            more = {
                "trade_id": f"T-{len(self.fills)}",
                "strategy_id": "S-1",
                "instrument_id": "GBP/USD.SIM",
                "order_side": "BUY",
                "last_qty": "1",
                "last_px": "1.5",
            }
        self._tell(row.client_order_id, name, **more)

    def _tell(self, order_id: str, name: str, **more: Any) -> None:
        ts = len(self.events) + 1
        body = {"client_order_id": order_id, "ts_event": ts, "ts_init": ts, **more}
        row = apply_order_event(self.orders.get(order_id), name, body)
        assert row is not None
        self.orders[order_id] = row
        if name == "OrderFilled":
            self.fills[body["trade_id"]] = build_fill(body)
        self.events.append(build_event(ts, "order", name, **body))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("begin"), st.just(0)),
            st.tuples(st.just("go_on"), st.integers(0, 7)),
            st.tuples(st.sampled_from(["tell", "repeat", "lose", "read", "read_open"]), st.integers(0, 3)),
        ),
        max_size=60,
    )
)
def test_book_is_what_the_engine_holds(steps: list[tuple[str, int]]) -> None:
    host, book = Host(), EngineBook()
    book.take_rows(seq=0, orders=[], positions=[], accounts=[], fills=[])
    told = 0

    def tell_rest() -> int:
        for event in host.events[told:]:
            book.note(event)
        return len(host.events)

    def read(late: int = 0) -> None:
        # What it says of itself is older than the rows.
        seq = max(len(host.events) - late, 0)
        book.take_rows(
            seq=seq, orders=host.orders.values(), positions=[], accounts=[], fills=host.fills.values()
        )

    for step, number in steps:
        match step:
            case "begin":
                host.begin()
            case "go_on":
                host.go_on(number)
            case "tell":
                told = tell_rest()
            case "repeat":
                for event in host.events[max(told - number, 0) : told]:
                    book.note(event)
            case "lose" if told + 1 < len(host.events):
                told += 1
                book.note(host.events[told])
                told += 1
                assert book.is_stale
            case "read":
                read(number)
            case "read_open":
                told = tell_rest()
                book.take_open_orders([row for row in host.orders.values() if row.is_open])
    told = tell_rest()
    if book.is_stale or book.is_unsure:
        read()

    assert book.orders == host.orders
    assert book.fills == host.fills
    assert [row.client_order_id for row in book.open_orders] == [
        row.client_order_id for row in reversed(host.orders.values()) if row.is_open
    ]
    seqs = [event.seq for event in book.events]
    assert seqs == sorted(set(seqs))


def test_fill_that_the_rows_hold_already_counts_once() -> None:
    host, book = Host(), EngineBook()
    host.begin()
    for _ in range(3):
        host.go_on(0)
    (row,) = host.orders.values()
    assert (row.status, row.filled_qty) == ("PARTIALLY_FILLED", "1")
    book.take_rows(seq=2, orders=host.orders.values(), positions=[], accounts=[], fills=host.fills.values())
    for event in host.events:
        book.note(event)

    assert book.orders == host.orders
    assert book.fills == host.fills


def test_missing_events_and_another_host_make_everything_be_asked_for() -> None:
    book = EngineBook()
    assert book.is_stale
    for spoil in (
        lambda: book.note(Gap(requested=5, first=9)),
        lambda: book.take_report(build_report(incarnation=2), 1.0),
        lambda: (book.note(build_event(20, "engine", "A")), book.note(build_event(22, "engine", "B"))),
    ):
        book.take_rows(seq=0, orders=[], positions=[], accounts=[], fills=[])
        assert not book.is_stale
        spoil()
        assert book.is_stale
    assert book.gap == Gap(requested=5, first=9)
    book.take_report(build_report(incarnation=2), 2.0)


def test_closed_position_leaves_at_once_and_account_events_are_asked_about() -> None:
    book = EngineBook()
    book.take_rows(seq=1, orders=[], positions=[POSITION], accounts=[], fills=[])
    book.note(build_event(2, "account", "AccountState"))
    assert book.is_unsure
    book.note(build_event(3, "position", "PositionClosed", position_id="P-1"))
    assert book.positions == {}


@pytest.mark.parametrize(
    "body", [{}, {"client_order_id": "O-1"}, {"client_order_id": "O-1", "ts_event": "x"}]
)
def test_event_of_another_version_is_asked_about(body: dict[str, Any]) -> None:
    book = EngineBook()
    book.take_rows(seq=0, orders=[], positions=[], accounts=[], fills=[])
    for seq, name in enumerate(("OrderFilled", "OrderInitialized", "OrderAccepted"), start=1):
        book.note(build_event(seq, "order", name, **body))
        assert book.is_unsure
        book.is_unsure = False


def test_equity_is_kept_finely_of_late_and_coarsely_before() -> None:
    book = EngineBook()
    for sec in range(3_000):
        book.take_report(build_report(equity=f"{1_000 + sec}"), float(sec))
        book.take_report(build_report(equity="7"), float(sec))  # Not later than the last
    book.take_report(build_report(equity=None), 3_000.0)

    times = [ms / 1e3 for ms, _ in book.equity]
    assert times == sorted(set(times))
    assert times[-600:] == [float(sec) for sec in range(2_400, 3_000)]
    gaps = {round(b - a) for a, b in pairwise(times) if b < 2_400}
    assert gaps == {5}
    assert all(value == 1_000 + ms / 1e3 for ms, value in book.equity)
    assert book.currency == "USD"


def test_old_rows_and_events_are_forgotten_and_open_orders_never() -> None:
    host, book = Host(), EngineBook()
    book.take_rows(seq=0, orders=[], positions=[], accounts=[], fills=[])
    host.begin()
    for _ in range(700):
        host.begin()
        order_id = f"O-{len(host.orders) - 1}"
        host._tell(order_id, "OrderDenied")
    for event in host.events:
        book.note(event)

    assert 500 <= len(book.orders) <= 602
    assert [row.client_order_id for row in book.open_orders] == ["O-0"]
    assert len(book.events) == 500


def test_link_and_missing_engine_are_kept() -> None:
    book = EngineBook()
    book.note(Link(is_server=True, is_host=False))
    book.take_missing(NotFoundError("there is no engine 'a'"))

    assert book.link == Link(is_server=True, is_host=False)
    assert book.missing is not None
    book.take_report(build_report(), 1.0)
    assert book.missing is None
    assert book.facts["valuation"]["currency"] == "USD"


def test_what_strategies_have_made_is_kept_every_five_seconds_where_it_is_known() -> None:
    book = EngineBook()
    for second, realized in enumerate(["1.5", "2.5", "3.5", "4.5", "5.5", None, "7.5"]):
        made = {"S-1": {"realized": realized, "unrealized": "-1", "why": ""}}
        report = msgspec.structs.replace(build_report(equity="1"), facts={"strategy_pnl": made})
        book.take_report(report, float(second))
    assert [value for _, value in book.pnl["S-1"]] == [0.5, 6.5]
    assert [ts for ts, _ in book.pnl["S-1"]] == [0, 6_000_000_000]
