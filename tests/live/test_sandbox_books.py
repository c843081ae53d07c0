"""Whatever was traded, and wherever it was cut off: what a restart makes of the journal is what was true then."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from nautilus_trader.model.enums import OrderSide

from tests.live.sandbox_books import FORMS, STRATEGIES, Books, Form, describe_order
from workbench.live.sandbox_state import collect_state

KINDS = ("market", "market", "limit", "stop", "stop_limit", "gtd", "bracket", "close", "cancel")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(STRATEGIES),
        st.integers(0, 3),
        st.sampled_from(KINDS),
        st.sampled_from([OrderSide.BUY, OrderSide.SELL]),
        st.integers(1, 90),
        st.integers(-80, 80),
    ),
    min_size=1,
    max_size=14,
)
OTHER = Form("XFX", ("AUD/USD",), "HEDGING", "MARGIN", "USD", ("50_000 USD",))


def _play(books: Books, steps: list[tuple[Any, ...]]) -> None:
    for strategy, number, kind, side, lots, points in steps:
        instrument = books.instruments[number % len(books.instruments)]
        books.trade(strategy, instrument, kind, side, lots)
        books.quote(instrument, points)


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{f.oms_type}-{f.account_type}-{f.base_currency}")
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # To shrink takes minutes
)
@given(steps=STEPS, is_two=st.booleans(), share=st.floats(0, 1))
def test_restart_at_any_event_knows_what_was_held(
    form: Form, steps: list[tuple[Any, ...]], is_two: bool, share: float
) -> None:
    books = Books((form, OTHER) if is_two else (form,))
    _play(books, steps)

    for count in range(len(books.events) + 1):
        restart = books.restart(count)
        assert restart.positions == books.held[max(n for n in books.held if n <= restart.fills)]
        if len(restart.totals) == len(books.forms):
            assert restart.totals == books.totals[restart.fills]
    orders = {o.client_order_id.value: o for o in books.cache.orders()}
    assert set(restart.unended) == {name for name, order in orders.items() if not order.is_closed}
    for name, described in restart.orders.items():
        assert described == describe_order(orders[name])

    # A journal that begins later, with what stands for all before
    begin = round(share * len(books.events))
    early = collect_state(books.events[:begin]).build_event()
    assert collect_state([early, *books.events[begin:]]) == collect_state(books.events)
