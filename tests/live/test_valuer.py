from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.accounting.factory import AccountFactory
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import TestClock
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.currencies import BTC, ETH, EUR, GBP, JPY, USD, USDT
from nautilus_trader.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, OmsType, OrderSide
from nautilus_trader.model.events import AccountState
from nautilus_trader.model.identifiers import AccountId, PositionId, TradeId, Venue
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import AccountBalance, Currency, Money, Price, Quantity
from nautilus_trader.model.position import Position
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs

from workbench.live.valuer import LiveValuer

SECOND_NS = 1_000_000_000
NOW_NS = 1_000 * SECOND_NS
SIM = Venue("SIM")
GBPUSD, USDJPY, EURUSD = (
    TestInstrumentProvider.default_fx_ccy(name, SIM) for name in ("GBP/USD", "USD/JPY", "EUR/USD")
)
BTCUSDT = TestInstrumentProvider.btcusdt_binance()


class Desk:
    """A cache with prices, and what values them."""

    def __init__(self, currency: Currency = USD, max_age: float | None = 10.0) -> None:
        self.cache = Cache()
        self.clock = TestClock()
        self.clock.set_time(NOW_NS)
        self.valuer = LiveValuer(self.cache, self.clock, currency, max_mark_age_secs=max_age)

    def quote(self, instrument: Instrument, bid: str, ask: str, age: float = 0.0, lag: float = 0.0) -> None:
        self.cache.add_instrument(instrument)
        ts_init = NOW_NS - int(age * SECOND_NS)
        size = Quantity(1, instrument.size_precision)
        prices = (instrument.make_price(Decimal(p)) for p in (bid, ask))
        self.cache.add_quote_tick(
            QuoteTick(instrument.id, *prices, size, size, ts_init - int(lag * SECOND_NS), ts_init)
        )

    def trade(self, instrument: Instrument, price: str, age: float = 0.0) -> None:
        ts = NOW_NS - int(age * SECOND_NS)
        size = Quantity(1, instrument.size_precision)
        made = instrument.make_price(Decimal(price))
        self.cache.add_trade_tick(
            TradeTick(instrument.id, made, size, AggressorSide.BUYER, TradeId("1"), ts, ts)
        )

    def bar(self, instrument: Instrument, close: str, source: str) -> None:
        price = instrument.make_price(Decimal(close))
        kind = BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-{source}")
        size = Quantity(1, instrument.size_precision)
        self.cache.add_bar(Bar(kind, price, price, price, price, size, NOW_NS, NOW_NS))

    def fund(self, kind: AccountType, base: Currency | None, *balances: str, venue: str = "SIM") -> None:
        state = AccountState(
            account_id=AccountId(f"{venue}-001"),
            account_type=kind,
            base_currency=base,
            reported=True,
            balances=[
                AccountBalance(Money.from_str(b), Money(0, Money.from_str(b).currency), Money.from_str(b))
                for b in balances
            ],
            margins=[],
            info={},
            event_id=UUID4(),
            ts_event=0,
            ts_init=0,
        )
        self.cache.add_account(AccountFactory.create(state))

    def hold(
        self, instrument: Instrument, quantity: str, price: str, side: OrderSide = OrderSide.BUY
    ) -> None:
        self.cache.add_instrument(instrument)
        order = TestExecStubs.market_order(
            instrument=instrument, order_side=side, quantity=instrument.make_qty(Decimal(quantity))
        )
        fill = TestEventStubs.order_filled(
            order,
            instrument=instrument,
            position_id=PositionId("P-1"),
            last_px=instrument.make_price(Decimal(price)),
            account_id=AccountId(f"{instrument.id.venue}-001"),
        )
        self.cache.add_position(Position(instrument=instrument, fill=fill), OmsType.NETTING)


def test_quote_goes_before_trade_and_trade_before_a_bar_of_the_venue() -> None:
    desk = Desk()
    desk.cache.add_instrument(GBPUSD)
    desk.bar(GBPUSD, "1.1", "EXTERNAL")
    assert desk.valuer.find_touch(GBPUSD.id) == (Price.from_str("1.10000"),) * 2
    desk.trade(GBPUSD, "1.2")
    assert desk.valuer.find_touch(GBPUSD.id) == (Price.from_str("1.20000"),) * 2
    desk.quote(GBPUSD, "1.3", "1.4")
    assert desk.valuer.find_touch(GBPUSD.id) == (Price.from_str("1.30000"), Price.from_str("1.40000"))


def test_bar_that_nautilus_builds_itself_is_no_price() -> None:
    """It goes on printing the last price of a feed that is dead."""
    desk = Desk()
    desk.bar(GBPUSD, "1.1", "INTERNAL")
    assert desk.valuer.find_touch(GBPUSD.id) == (None, None)


@pytest.mark.parametrize(("age", "lag"), [(10.5, 0.0), (0.0, 10.5), (6.0, 6.0)])
def test_old_price_is_none_and_says_how_old(age: float, lag: float) -> None:
    desk = Desk()
    desk.quote(GBPUSD, "1.3", "1.4", age=age, lag=lag)
    assert desk.valuer.find_touch(GBPUSD.id) == (None, None)
    said = f"the last price of GBP/USD.SIM is {age + lag:.1f} s old"
    assert desk.valuer.explain(GBPUSD.id) == said
    desk.valuer.limit_age(20.0)
    assert desk.valuer.find_touch(GBPUSD.id).bid is not None
    desk.valuer.limit_age(None)
    assert desk.valuer.find_touch(GBPUSD.id).bid is not None


def test_price_grows_old_without_new_data() -> None:
    desk = Desk()
    desk.quote(GBPUSD, "1.3", "1.4")
    assert desk.valuer.find_touch(GBPUSD.id).bid is not None
    desk.clock.set_time(NOW_NS + 11 * SECOND_NS)
    assert desk.valuer.find_touch(GBPUSD.id) == (None, None)


def test_fresh_trade_stands_in_for_an_old_quote() -> None:
    desk = Desk()
    desk.quote(GBPUSD, "1.3", "1.4", age=60)
    desk.trade(GBPUSD, "1.35")
    assert desk.valuer.find_touch(GBPUSD.id).bid == Price.from_str("1.35000")


def test_rate_is_the_middle_of_a_pair_or_the_product_of_two() -> None:
    desk = Desk()
    desk.quote(GBPUSD, "1.50", "1.52")
    desk.quote(USDJPY, "79", "81")
    assert desk.valuer.find_rate(USD) == 1
    assert desk.valuer.find_rate(GBP) == Decimal("1.51")
    assert desk.valuer.find_rate(JPY) == Decimal(1) / 80
    assert desk.valuer.find_rate(GBP, JPY) == Decimal("120.8")
    assert desk.valuer.find_rate(EUR) is None
    desk.quote(EURUSD, "1.30", "1.32")
    assert desk.valuer.find_rate(EUR) == Decimal("1.31"), "an instrument that came later"
    assert desk.valuer.find_rate(ETH) is None


def test_rate_of_an_old_price_is_none() -> None:
    desk = Desk()
    desk.quote(GBPUSD, "1.50", "1.52", age=60)
    assert desk.valuer.find_rate(GBP) is None


def test_equity_of_a_margin_account_marks_a_position_where_it_could_be_closed() -> None:
    desk = Desk()
    desk.fund(AccountType.MARGIN, USD, "1000000 USD")
    desk.hold(GBPUSD, "100000", "1.50000")
    desk.quote(GBPUSD, "1.51000", "1.52000")
    assert desk.valuer.measure().equity == 1_001_000


def test_equity_of_a_cash_account_of_several_currencies_counts_what_was_bought_once() -> None:
    desk = Desk(USDT)
    desk.fund(AccountType.CASH, None, "5000 USDT", "1 BTC", venue="BINANCE")
    desk.hold(BTCUSDT, "1", "10000")
    desk.quote(BTCUSDT, "20000", "20000")
    assert desk.valuer.measure().equity == 25_000
    assert desk.valuer.find_rate(BTC) == 20_000


def test_equity_without_a_fresh_price_is_unknown_and_says_why() -> None:
    desk = Desk()
    desk.fund(AccountType.MARGIN, USD, "1000000 USD")
    desk.hold(GBPUSD, "100000", "1.50000")
    valuation = desk.valuer.measure()
    assert valuation.equity is None
    assert valuation.missing == "no price of GBP/USD.SIM"
    desk.quote(GBPUSD, "1.51000", "1.52000", age=75)
    assert desk.valuer.measure().missing == "the last price of GBP/USD.SIM is 75.0 s old"


def test_balance_without_a_rate_is_unknown_and_says_why() -> None:
    desk = Desk()
    desk.fund(AccountType.CASH, None, "100 USD", "5 EUR")
    assert desk.valuer.measure() == (None, None, "no rate EUR/USD")


def test_margin_is_measured_only_where_it_is_asked_for() -> None:
    desk = Desk()
    desk.fund(AccountType.MARGIN, USD, "1000 USD")
    account: Any = desk.cache.accounts()[0]
    account.update_margin_init(GBPUSD.id, Money(30, USD))
    account.update_margin_maint(GBPUSD.id, Money(12, USD))
    assert desk.valuer.measure().margin is None
    assert desk.valuer.measure(has_margin=True).margin == 42
