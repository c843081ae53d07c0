"""An order told of by its events is what nautilus makes of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import OrderUpdated
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs

from workbench.engine_records import OrderRow
from workbench.live.rows import build_fill_row, build_order_row
from workbench.ui.engine_orders import apply_order_event, build_fill

INSTRUMENT = TestInstrumentProvider.default_fx_ccy("GBP/USD")
STEPS = ("fill", "update", "pending_cancel", "cancel", "expire", "reject_cancel")


def tell(event: Any) -> tuple[str, dict[str, Any]]:
    """Return an event as the journal keeps it."""
    body = msgspec.json.Encoder(enc_hook=str).encode(type(event).to_dict(event))
    return type(event).__name__, msgspec.json.decode(body)


def build_update(order: Any, quantity: int) -> OrderUpdated:
    return OrderUpdated(
        trader_id=order.trader_id,
        strategy_id=order.strategy_id,
        instrument_id=order.instrument_id,
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id,
        account_id=order.account_id,
        quantity=Quantity.from_int(quantity),
        price=Price.from_str("1.20000"),
        trigger_price=None,
        event_id=UUID4(),
        ts_event=0,
        ts_init=0,
    )


def build_event(order: Any, step: str, number: int, filled: int) -> Any:
    match step:
        case "fill":
            return TestEventStubs.order_filled(
                order,
                instrument=INSTRUMENT,
                last_qty=Quantity.from_int(filled),
                last_px=Price.from_str(f"1.2{number:04d}"),
                trade_id=TradeId(f"T-{number}"),
            )
        case "update":
            return build_update(order, int(order.quantity) + 1_000)
        case "pending_cancel":
            return TestEventStubs.order_pending_cancel(order)
        case "cancel":
            return TestEventStubs.order_canceled(order)
        case "expire":
            return TestEventStubs.order_expired(order)
    return None


@given(
    st.lists(
        st.tuples(st.sampled_from(["fill", "update", "cancel", "expire"]), st.integers(1, 4)), max_size=8
    )
)
def test_events_make_the_row_that_nautilus_makes(steps: list[tuple[str, int]]) -> None:
    order = TestExecStubs.limit_order(
        instrument=INSTRUMENT, order_side=OrderSide.BUY, quantity=Quantity.from_int(4_000)
    )
    row = apply_order_event(None, *tell(order.init_event))
    assert row == build_order_row(order)
    events = [TestEventStubs.order_submitted(order)]
    order.apply(events[0])
    accepted = TestEventStubs.order_accepted(order)
    order.apply(accepted)
    events.append(accepted)
    for number, (step, share) in enumerate(steps):
        if order.is_closed:
            break
        filled = min(share * 1_000, int(order.leaves_qty))
        event = build_event(order, step, number, filled)
        order.apply(event)
        events.append(event)
    for event in events:
        row = apply_order_event(row, *tell(event))

    assert row is not None
    expected = build_order_row(order)
    assert abs(Decimal(row.avg_px or 0) - Decimal(expected.avg_px or 0)) < Decimal("1e-8")
    known = {"avg_px": "", "ts_last": 0}
    assert msgspec.structs.replace(row, **known) == msgspec.structs.replace(expected, **known)


def test_fill_is_the_one_that_nautilus_tells_of() -> None:
    order = TestExecStubs.make_accepted_order(instrument=INSTRUMENT)
    event = TestEventStubs.order_filled(order, instrument=INSTRUMENT)

    assert build_fill(tell(event)[1]) == build_fill_row(event)


def test_what_came_before_changes_nothing() -> None:
    row = build_order_row(TestExecStubs.make_filled_order(instrument=INSTRUMENT))
    late = msgspec.structs.replace(row, ts_last=10)

    for state in (row, msgspec.structs.replace(late, is_open=True, status="ACCEPTED")):
        assert apply_order_event(state, "OrderSubmitted", {"ts_event": 5}) == state


def test_refused_change_and_unknown_order_have_to_be_asked_for() -> None:
    row: OrderRow = build_order_row(TestExecStubs.make_accepted_order(instrument=INSTRUMENT))

    assert apply_order_event(row, "OrderCancelRejected", {"ts_event": row.ts_last}) is None
    assert apply_order_event(None, "OrderAccepted", {"ts_event": 1}) is None
