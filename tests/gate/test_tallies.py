"""What an order is worth at most, before anybody knows at what price it is filled."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.common.component import TestClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import StrategyId, TraderId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.model.orders import Order
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from workbench.gate.raw import to_decimal
from workbench.gate.tallies import Sums, Tally, is_floating
from workbench.gate.worth import Touch

BUY, SELL = OrderSide.BUY, OrderSide.SELL
EQUITY = TestInstrumentProvider.equity("AAPL", "XNAS")
INVERSE = TestInstrumentProvider.xbtusd_bitmex()
FACTORY = OrderFactory(TraderId("TESTER-001"), StrategyId("S-001"), TestClock())


def open_tally(instrument: Instrument, bid: str, ask: str) -> Tally:
    tally = Tally(instrument, Sums(instrument.get_cost_currency()))
    tally.set_touch(Touch(Price.from_str(bid), Price.from_str(ask)))
    return tally


def build(
    kind: str, instrument: Instrument, side: OrderSide, size: int, price: str = "", **more: Any
) -> Order:
    prices = [Price.from_str(price)] if price else []
    order: Order = getattr(FACTORY, kind)(instrument.id, side, Quantity.from_int(size), *prices, **more)
    return order


@pytest.mark.parametrize(
    ("kind", "side", "price", "worth"),
    [
        ("limit", BUY, "60.00", "600"),
        ("limit", BUY, "150.00", "1500"),
        ("limit", SELL, "150.00", "1500"),
        ("limit", SELL, "1.00", "1000"),  # Filled at the bid at once
        ("market", BUY, "", "1010"),
        ("market", SELL, "", "1000"),
        ("stop_market", BUY, "120.00", "1200"),  # Filled there, if ever
        ("stop_market", SELL, "80.00", "1000"),
    ],
)
def test_order_is_worth_the_most_that_it_may_be_filled_at(
    kind: str, side: OrderSide, price: str, worth: str
) -> None:
    tally = open_tally(EQUITY, "100.00", "101.00")
    order = build(kind, EQUITY, side, 10, price)

    _, found = tally.measure_order(order, order.quantity)
    assert found is not None
    assert to_decimal(found) == Decimal(worth)
    assert is_floating(tally, order) == (kind != "limit" or side == SELL)


@pytest.mark.parametrize(
    ("side", "price", "at"),
    [
        (BUY, "90000.0", "50000"),
        (BUY, "40000.0", "40000"),
        (SELL, "60000.0", "60000"),
        (SELL, "40000.0", "40000"),
    ],
)
def test_inverse_contract_is_worth_more_where_it_is_filled_lower(
    side: OrderSide, price: str, at: str
) -> None:
    tally = open_tally(INVERSE, "49999.5", "50000.0")
    order = build("limit", INVERSE, side, 100_000, price)

    _, found = tally.measure_order(order, order.quantity)
    assert found is not None
    assert abs(to_decimal(found) - Decimal(100_000) / Decimal(at)) < Decimal("1e-8")


def test_quantity_of_money_is_as_many_units_as_the_lowest_price_makes_of_it() -> None:
    tally = open_tally(EQUITY, "100.00", "101.00")
    order = build("limit", EQUITY, BUY, 1_000, "200.00", quote_quantity=True)

    units, _ = tally.measure_order(order, order.quantity)
    assert units is not None
    assert to_decimal(units) >= Decimal(1_000) / Decimal(101)


def test_modification_to_another_price_counts_with_its_own() -> None:
    tally = open_tally(EQUITY, "100.00", "101.00")
    order = build("limit", EQUITY, BUY, 10, "60.00")

    _, found = tally.measure_order(order, Quantity.from_int(20), [Price.from_str("70.00")])
    assert found is not None
    assert to_decimal(found) == 1_400


def test_what_is_to_be_sold_has_no_known_worth_without_a_market() -> None:
    tally = Tally(EQUITY, Sums(EQUITY.get_cost_currency()))

    assert not tally.has_price_for(build("limit", EQUITY, SELL, 10, "60.00"))
    assert tally.has_price_for(build("limit", EQUITY, BUY, 10, "60.00"))


@pytest.mark.parametrize("instrument", [EQUITY, INVERSE, TestInstrumentProvider.default_fx_ccy("USD/JPY")])
def test_worth_is_what_nautilus_says(instrument: Instrument) -> None:
    tally = open_tally(instrument, "100.00", "101.00")
    size, price = Quantity.from_int(12_345), instrument.make_price(100)

    found = to_decimal(tally.measure_notional(size.raw, price))
    theirs = instrument.notional_value(size, price).as_decimal()
    assert abs(found - theirs) <= Decimal("0.01")
