"""How long a venue takes to answer, and how long an order waits for it already."""

from __future__ import annotations

from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs

from workbench.live.facts import RoundTrip


def test_order_that_nobody_answers_is_told_with_its_age() -> None:
    instrument = TestInstrumentProvider.default_fx_ccy("GBP/USD")
    trips = RoundTrip()
    assert trips.describe(10**9) == {"waiting_ms": None, "median_ms": None, "worst_ms": None, "count": 0}
    orders = [
        TestExecStubs.limit_order(instrument=instrument, client_order_id=ClientOrderId(f"O-{n}"))
        for n in (1, 2)
    ]
    for order in orders:
        trips.note(TestEventStubs.order_submitted(order, ts_event=0))
    assert trips.describe(3_000_000_000)["waiting_ms"] == 3_000
    for order in orders:
        trips.note(TestEventStubs.order_accepted(order))
    found = trips.describe(9 * 10**9)
    assert (found["waiting_ms"], found["count"]) == (None, 2)
