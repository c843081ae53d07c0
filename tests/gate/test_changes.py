"""Which modification an answer of a venue is to, and what an order may become meanwhile."""

from __future__ import annotations

from typing import Any

from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import OrderSide, TrailingOffsetType, TriggerType
from nautilus_trader.model.events import OrderUpdated
from nautilus_trader.model.identifiers import ClientOrderId, StrategyId, TraderId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.model.orders import LimitOrder, Order, TrailingStopMarketOrder
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from workbench.gate.changes import Change, Changes

GBPUSD = TestInstrumentProvider.default_fx_ccy("GBP/USD")
NAMES: dict[str, Any] = {
    "trader_id": TraderId("TESTER-001"),
    "strategy_id": StrategyId("S-001"),
    "instrument_id": GBPUSD.id,
    "client_order_id": ClientOrderId("O-1"),
}


def build_limit() -> Order:
    size, price = Quantity.from_int(10), Price.from_str("1.2")
    return LimitOrder(
        **NAMES, order_side=OrderSide.BUY, quantity=size, price=price, init_id=UUID4(), ts_init=0
    )


def build_trailing() -> Order:
    return TrailingStopMarketOrder(
        **NAMES,
        order_side=OrderSide.BUY,
        quantity=Quantity.from_int(10),
        trigger_price=Price.from_str("1.3"),
        trigger_type=TriggerType.DEFAULT,
        trailing_offset=1,
        trailing_offset_type=TrailingOffsetType.PRICE,
        init_id=UUID4(),
        ts_init=0,
    )


def build_update(quantity: int, price: str | None = None, trigger: str | None = None) -> OrderUpdated:
    return OrderUpdated(
        **NAMES,
        venue_order_id=None,
        account_id=None,
        quantity=Quantity.from_int(quantity),
        price=None if price is None else Price.from_str(price),
        trigger_price=None if trigger is None else Price.from_str(trigger),
        event_id=UUID4(),
        ts_event=0,
        ts_init=0,
    )


def ask(changes: Changes, quantity: int | None = None, price: str | None = None) -> None:
    changes.add(
        Change(
            None if quantity is None else Quantity.from_int(quantity),
            None if price is None else Price.from_str(price),
        )
    )


def find_most(changes: Changes) -> int:
    return int(changes.find_quantity(Quantity.from_int(10)))


def test_order_counts_for_the_most_that_all_modifications_make_of_it() -> None:
    changes = Changes()
    ask(changes, quantity=30)
    ask(changes, price="1.5")
    ask(changes, quantity=20)

    assert find_most(changes) == 30
    assert changes.find_prices(build_limit()) == [Price.from_str("1.5")]
    assert changes.find_prices(build_trailing()) == []


def test_answer_to_a_smaller_modification_leaves_the_larger_one() -> None:
    changes = Changes()
    ask(changes, quantity=5)
    ask(changes, quantity=30)

    changes.update(build_limit(), build_update(5, "1.2"))
    assert find_most(changes) == 30
    changes.update(build_limit(), build_update(30, "1.2"))
    assert not changes


def test_rejection_is_of_any_of_them_so_all_count_until_each_is_answered() -> None:
    changes = Changes()
    ask(changes, quantity=20)
    ask(changes, quantity=30)

    changes.reject()
    assert find_most(changes) == 30
    changes.update(build_limit(), build_update(30, "1.2"))
    assert not changes, "the rejection was of the other one"


def test_venue_that_rounds_has_answered_all_the_same() -> None:
    changes = Changes()
    ask(changes, quantity=33)
    changes.update(build_limit(), build_update(30, "1.2"))
    assert not changes


def test_stop_that_trails_by_itself_answers_nothing() -> None:
    changes = Changes()
    ask(changes, quantity=30)

    changes.update(build_trailing(), build_update(10, trigger="1.2"))
    assert find_most(changes) == 30
    changes.update(build_trailing(), build_update(30, trigger="1.2"))
    assert not changes


def test_copy_begins_with_the_same_and_changes_nothing_of_the_first() -> None:
    changes = Changes()
    ask(changes, quantity=20)
    copy = Changes(changes)
    ask(copy, quantity=40)
    assert (find_most(changes), find_most(copy)) == (20, 40)
